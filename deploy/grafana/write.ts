// `npm run boards` writes the JSON that Grafana provisions from what the boards are described as.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { boardJson } from './board.ts'
import { boards } from './boards.ts'

for (const [name, board] of Object.entries(boards)) {
  writeFileSync(join(import.meta.dirname, 'dashboards', name), boardJson(board))
}
