import type { Board } from './board.ts'
import { cost } from './cost.ts'
import { pipeline } from './pipeline.ts'
import { sampling } from './sampling.ts'

/** The boards by the names of their files in `dashboards/`. */
export const boards: Readonly<Record<string, Board>> = {
  'sampling.json': sampling,
  'pipeline.json': pipeline,
  'cost.json': cost,
}
