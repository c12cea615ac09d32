// Each stage a process on a real broker, killed at any moment. `npm run crash -- --kafka` does it twenty times.

import { randomUUID } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { CrashRun } from '../crash/crash-run.ts'
import { targetsSystem } from '../crash/systems.ts'
import { sharedKafka } from './kafka/shared.ts'

const broker = (await sharedKafka()) ?? ''
const fact = test.runIf(broker !== '')
const seed = 42

fact(
  'after a kill of every stage nothing acknowledged is lost, nothing is there twice',
  { timeout: 400_000 },
  async () => {
    const system = await targetsSystem(`kafka://${broker}`, `crash-${randomUUID().slice(0, 8)}`)
    onTestFinished(() => system.remove())
    const run = new CrashRun({ seed, system, tracesPerSecond: 140 })
    for (const name of ['sampler', 'assembler', 'writer', 'receiver']) {
      console.log(`seed ${seed}: ${JSON.stringify(await run.kill(name))}`)
    }
    const { figures, violations } = await run.account()
    console.log(`seed ${seed}: ${JSON.stringify(figures)}`)
    expect(violations.join('\n'), `seed ${seed}`).toBe('')
    expect(figures.kept, `seed ${seed}`).toBeGreaterThan(100)
  },
)
