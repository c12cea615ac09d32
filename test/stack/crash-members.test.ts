// Members that come and go, and two owners of a partition by force, under traffic on a real broker.

import { randomUUID } from 'node:crypto'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { DatabaseSync } from '../../packages/storage/src/node-sqlite.ts'
import { CrashRun } from '../crash/crash-run.ts'
import { metricSum } from '../crash/metrics.ts'
import { type System, targetsSystem } from '../crash/systems.ts'
import { sharedKafka } from './kafka/shared.ts'

const broker = (await sharedKafka()) ?? ''
const fact = test.runIf(broker !== '')

/** Many times what any trace of the traffic waits; nothing on a broker can be moved in time. */
const backlogSeconds = Number(process.env.TEST_BACKLOG_SECONDS ?? 20)

const stages = ['assembler', 'sampler', 'writer'] as const

async function started(seed: number): Promise<CrashRun> {
  const prefix = `crash-${randomUUID().slice(0, 8)}`
  const system = await targetsSystem(`kafka://${broker}`, prefix, { twice: stages })
  onTestFinished(() => system.remove())
  return new CrashRun({ seed, system, tracesPerSecond: 70 })
}

async function expectWhole(run: CrashRun, seed: number): Promise<void> {
  const { figures, violations } = await run.account()
  console.log(`seed ${seed}: ${JSON.stringify(figures)}`)
  expect(violations.join('\n'), `seed ${seed}`).toBe('')
  expect(figures.kept, `seed ${seed}`).toBeGreaterThan(50)
}

fact(
  'members of every group leave and come back while traces are open: all stays whole',
  { timeout: 400_000 },
  async () => {
    const seed = 51
    const run = await started(seed)
    const { system } = run
    await run.manyOpen(500)
    for (const stage of stages) {
      expect(await system.running(stage).stop(), stage).toBe(0)
      await sleep(1_000)
      await run.startAgain(stage)
      expect(await system.running(`${stage}-2`).stop(), `${stage}-2`).toBe(0)
      await run.startAgain(`${stage}-2`)
    }
    await expectWhole(run, seed)
  },
)

fact(
  `a backlog of ${backlogSeconds} s closes no trace whose spans are still in it`,
  { timeout: 400_000 + 3_000 * backlogSeconds },
  async () => {
    const seed = 52
    const run = await started(seed)
    const { system } = run
    await run.manyOpen(500)
    await Promise.all([system.running('assembler').stop(), system.running('assembler-2').stop()])
    await sleep(1_000 * backlogSeconds)
    await Promise.all([system.start('assembler'), system.start('assembler-2')])
    await expectWhole(run, seed)
  },
)

fact(
  'a member that sleeps beyond its session is a zombie when it wakes: it does no harm',
  { timeout: 400_000 },
  async () => {
    const seed = 53
    const run = await started(seed)
    const { system } = run
    await run.manyOpen(500)
    for (const stage of stages) {
      await putToSleep(system, stage)
      // The session of the group is ten seconds; then the other has all partitions.
      await vi.waitFor(() => expect(partitionsOf(system, `${stage}-2`)).toBe(6), {
        timeout: 40_000,
        interval: 200,
      })
      const other = await metricSum(system.running(`${stage}-2`).metrics, counters[stage])
      await vi.waitFor(
        async () =>
          expect(
            await metricSum(system.running(`${stage}-2`).metrics, counters[stage]),
          ).toBeGreaterThan(other),
        { timeout: 20_000, interval: 200 },
      )
      system.running(stage).signal('SIGCONT')
      await vi.waitFor(() => expect(partitionsOf(system, stage)).toBe(3), {
        timeout: 40_000,
        interval: 200,
      })
    }
    await expectWhole(run, seed)
  },
)

/** Not within a transaction: of a file that both write the other would wait for as long as this one sleeps. */
async function putToSleep(system: System, name: string): Promise<void> {
  for (;;) {
    system.running(name).signal('SIGSTOP')
    if (!(await isLocked(join(system.data, 'hot')))) return
    system.running(name).signal('SIGCONT')
    await sleep(20)
  }
}

async function isLocked(folder: string): Promise<boolean> {
  for await (const path of glob(join(folder, '*.sqlite'))) {
    const database = new DatabaseSync(path, { timeout: 1_000 })
    try {
      database.exec('BEGIN IMMEDIATE; ROLLBACK')
    } catch {
      return true
    } finally {
      database.close()
    }
  }
  return false
}

const counters = {
  assembler: 'winnow_traces_closed_total',
  sampler: 'winnow_decisions_total',
  writer: 'winnow_tier_objects_total',
}

/** What the last assignment gave to a process. */
function partitionsOf(system: System, name: string): number {
  const joined = [
    ...system
      .running(name)
      .stderr()
      .matchAll(/"partitions":(\d+)/g),
  ]
  return Number(joined.at(-1)?.[1] ?? 0)
}
