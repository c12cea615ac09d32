// promtool reads what is shipped, and runs the cases of every alert.

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { missingForPrometheus, shipped } from './prometheus.ts'
import { refuse } from './refuse.ts'

const why = missingForPrometheus()
const fact = test.runIf(why === undefined)

test('promtool is to be had', ({ skip }) => {
  if (why !== undefined) refuse(skip, why)
})

fact('the configuration and the rules are valid', () => {
  promtool('check', 'config', join(shipped, 'prometheus.yaml'))
  promtool('check', 'rules', join(shipped, 'alerts.yaml'))
})

const cases = readdirSync(shipped).filter(name => name.endsWith('.test.yaml'))

for (const name of cases) {
  fact(`${name}: every alert fires when it should, and not before`, () => {
    promtool('test', 'rules', join(shipped, name))
  })
}

function promtool(...args: string[]): void {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' })
  expect(status, `${stdout}\n${stderr}`).toBe(0)
}
