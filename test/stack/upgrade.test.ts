// A release takes the place of the one before, instance by instance, as docs/operations.md says under Upgrading.

import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bus, KafkaBus, topicSpecs } from '@winnow/bus'
import { formatNames, formats } from '@winnow/model'
import { expect, onTestFinished, test } from 'vitest'
import { CrashRun } from '../crash/crash-run.ts'
import { metricSum } from '../crash/metrics.ts'
import { type Build, type System, targetsSystem } from '../crash/systems.ts'
import { sharedKafka } from './kafka/shared.ts'
import { redisForTest } from './redis/shared.ts'
import { nextRelease } from './upgrade/next-release.ts'

const broker = (await sharedKafka()) ?? ''
const fact = test.runIf(broker !== '')
const seed = 61
/** How long two releases run side by side before the next instance is replaced. */
const besideMs = 1_000
/** Readers before writers, as the documentation has it. */
const order = [
  'query',
  'writer',
  'writer-2',
  'sampler',
  'sampler-2',
  'assembler',
  'assembler-2',
  'receiver',
]

fact(
  'a release with newer formats takes over instance by instance: nothing is refused, the oracle agrees',
  { timeout: 600_000 },
  async ({ skip }) => {
    const { system, prefix } = await started(skip)
    const run = new CrashRun({ seed, system, tracesPerSecond: 20 })
    const next = nextRelease()
    onTestFinished(() => next.remove())
    await run.manyOpen(100)
    const said: string[] = []
    const roll = async (build: Build): Promise<void> => {
      for (const name of order) {
        const before = system.running(name)
        expect(await system.replace(name, build), name).toBe(0)
        said.push(before.stderr())
        await sleep(besideMs)
      }
    }
    const versions = async (): Promise<Record<string, number[]>> => versionsOn(prefix)
    expect(await versions()).toEqual({ spans: [1], evidence: [1], decisions: [1] })

    await roll({ root: next.folder, env: { WINNOW_FORMATS: 'previous' } })
    expect(await versions()).toEqual({ spans: [1], evidence: [1], decisions: [1] })

    await roll({ root: next.folder })
    await run.manyOpen(100)
    expect(await versions()).toEqual({ spans: [1, 2], evidence: [1, 2], decisions: [1, 2] })

    for (const name of order) {
      const { metrics, stderr } = system.running(name)
      said.push(stderr())
      expect(await metricSum(metrics, 'winnow_evidence_malformed_total'), name).toBe(0)
    }
    expect(refusals(said)).toEqual([])
    // What the topics and segments hold now is read by a reader of the next release.
    readNextFormats()
    const { figures, violations } = await run.account()
    console.log(`seed ${seed}: ${JSON.stringify(figures)}`)
    expect(violations.join('\n'), `seed ${seed}`).toBe('')
    expect(figures.kept, `seed ${seed}`).toBeGreaterThan(50)
  },
)

fact(
  'without the setting an older instance refuses the newer format by name, and nothing is lost once it is replaced',
  { timeout: 600_000 },
  async ({ skip }) => {
    const { system } = await started(skip)
    const run = new CrashRun({ seed: seed + 1, system, tracesPerSecond: 20 })
    const next = nextRelease()
    onTestFinished(() => next.remove())
    await run.manyOpen(100)
    const old = system.running('writer')
    await system.replace('sampler', { root: next.folder })
    // Its partitions hold decisions of the next format: it ends rather than count differently behind them.
    expect(await old.exited).not.toBe(0)
    expect(old.stderr()).toMatch(/format v 2, this release reads up to 1/)
    for (const name of order) await system.replace(name, { root: next.folder })
    readNextFormats()
    const { violations } = await run.account()
    expect(violations.join('\n'), `seed ${seed + 1}`).toBe('')
  },
)

async function started(
  skip: (note: string) => unknown,
): Promise<{ readonly system: System; readonly prefix: string }> {
  const redis = await redisForTest(skip)
  const prefix = `upgrade-${randomUUID().slice(0, 8)}`
  const system = await targetsSystem(`kafka://${broker}`, prefix, {
    twice: ['assembler', 'sampler', 'writer'],
    env: {
      WINNOW_BUFFER: redis.url,
      WINNOW_ASSEMBLER_CHECKPOINT_EVERY: '1s',
      WINNOW_SAMPLER_SNAPSHOT_EVERY: '2s',
      WINNOW_SAMPLER_BASELINES_EVERY: '1s',
    },
  })
  onTestFinished(() => system.remove())
  return { system, prefix }
}

/** The versions that the records of each topic name. */
async function versionsOn(prefix: string): Promise<Record<string, number[]>> {
  const { spans, evidence, decisions } = topicSpecs({ prefix, generation: 1, partitions: 6 })
  const bus = await KafkaBus.open({
    brokers: [broker],
    specs: [spans, evidence, decisions],
    clientId: 'upgrade',
  })
  try {
    return {
      spans: await versionsIn(bus, spans.name),
      evidence: await versionsIn(bus, evidence.name),
      decisions: await versionsIn(bus, decisions.name),
    }
  } finally {
    await bus.close()
  }
}

async function versionsIn(bus: Bus, topic: string): Promise<number[]> {
  const found = new Set<number>()
  for (let partition = 0; partition < 6; partition++) {
    const { end } = await bus.bounds(topic, partition)
    for (let from = 0; from < end; ) {
      const { records } = await bus.read(topic, partition, from, 4 << 20, 5_000)
      for (const { offset, value, header } of records) {
        const text = Buffer.from(header ?? value.subarray(0, 64)).toString('latin1')
        found.add(Number(/^\{"v":(\d+)/.exec(text)?.[1]))
        from = offset + 1
      }
    }
  }
  return [...found].sort()
}

/** Lines that tell of a record, note, file or snapshot that was refused or left aside. */
function refusals(outputs: readonly string[]): string[] {
  return outputs
    .flatMap(output => output.split('\n'))
    .filter(line =>
      /DATA_CORRUPT|CONFIG_INVALID|has format|"newer"|malformed|thread.failed/.test(line),
    )
}

function readNextFormats(): void {
  const before = { ...formats }
  for (const name of formatNames) Reflect.set(formats, name, formats[name] + 1)
  onTestFinished(() => {
    Object.assign(formats, before)
  })
}
