// `winnow up` on files, killed at any moment. `npm run crash` does it twenty times.

import { expect, onTestFinished, test } from 'vitest'
import { CrashRun } from './crash-run.ts'
import { type System, upSystem } from './systems.ts'

const seed = 41

async function started(): Promise<System> {
  const system = await upSystem()
  onTestFinished(() => system.remove())
  return system
}

test('after three kills with -9 and a SIGTERM nothing acknowledged is lost or there twice, and no trace was closed early', {
  timeout: 300_000,
}, async () => {
  const run = new CrashRun({ seed, system: await started() })
  for (let n = 0; n < 3; n++) console.log(`seed ${seed}: ${JSON.stringify(await run.kill('up'))}`)
  console.log(`seed ${seed}: by SIGTERM ${JSON.stringify(await run.stopAndStart('up'))}`)
  const { figures, violations } = await run.account()
  console.log(`seed ${seed}: ${JSON.stringify(figures)}`)
  expect(violations.join('\n'), `seed ${seed}`).toBe('')
  expect(figures.kept, `seed ${seed}`).toBeGreaterThan(100)
  expect(run.traffic.unanswered, `seed ${seed}`).toBeGreaterThan(0)
})
