import { Metrics, silentLog } from '@winnow/runtime'
import { MemoryBlobStore } from '@winnow/storage'
import { Random } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import type { CeilingSpec } from './ceiling-spec.ts'
import { type CeilingPer, CeilingSpend, ceilingSpendsMax } from './ceiling-spend.ts'
import { Ceilings } from './ceilings.ts'
import { root, slice, summary, traceIdOf } from './fixtures.ts'
import { parsePolicy } from './policy-file.ts'
import { thresholdHex } from './threshold-hex.ts'
import { hour, topics, until, World } from './world.fixture.ts'

const seed = 20261122
const partitions = 12
const minute = 60_000

let world: World | undefined
afterEach(async () => {
  await Promise.all(world?.samplers.map(sampler => sampler.stop()) ?? [])
  expect(world?.failures ?? []).toEqual([])
  world = undefined
})

/** What the fold of a partition is told of: a first revision with an answer that a ceiling has limited. */
function decided(
  tenant: string,
  probability: number,
  decidedAtMs: number,
  { randomness = 'ffffffffffffff', per = 'hour' as CeilingPer, revision = 1 } = {},
) {
  const detail = { ceiling: 1, per, revision: 1 }
  const rules = [{ name: 'span-error', matched: true, probability, detail }]
  return { tenant, traceId: traceIdOf(1, randomness), rules, revision, decidedAtMs }
}

/** R, whose last digits say the partition. */
function draw(random: Random): string {
  const half = () =>
    random
      .int(0, 2 ** 28 - 1)
      .toString(16)
      .padStart(7, '0')
  return `${half()}${half()}`
}

/** Figures of `members` processes and the folds of all partitions; `move` gives one to another process. */
class Fleet {
  readonly folds = Array.from({ length: partitions }, () => new CeilingSpend())
  readonly members: Ceilings[]
  readonly owners: number[]
  kept = 0

  constructor(count: number) {
    this.members = Array.from({ length: count }, () => new Ceilings(silentLog, new Metrics()))
    for (const member of this.members) member.share(partitions)
    this.owners = this.folds.map((_, partition) => partition % count)
    for (let partition = 0; partition < partitions; partition++) this.#hold(partition)
  }

  move(partition: number, owner: number): void {
    this.members[this.owners[partition] as number]?.release(partition)
    this.owners[partition] = owner
    // Whoever takes it up may have it from a snapshot.
    const entries = JSON.parse(JSON.stringify([...(this.folds[partition]?.entries() ?? [])]))
    this.folds[partition] = new CeilingSpend()
    this.folds[partition]?.load(entries)
    this.#hold(partition)
  }

  offer(specs: readonly CeilingSpec[], per: CeilingPer, randomness: string, atMs: number): void {
    const partition = Number.parseInt(randomness.slice(-4), 16) % partitions
    const ceilings = this.members[this.owners[partition] as number] as Ceilings
    const match = { tenant: 't', rule: 'span-error', kind: 'k', asked: 1, partition }
    const probability = ceilings.part(specs, match, atMs)?.probability ?? 1
    const isKept = randomness >= thresholdHex(probability)
    ceilings.note({ ...match, isKept }, per, atMs)
    this.folds[partition]?.add(decided('t', probability, atMs, { randomness, per }))
    if (isKept) this.kept++
  }

  #hold(partition: number): void {
    const ceilings = this.members[this.owners[partition] as number] as Ceilings
    ceilings.hold(partition, this.folds[partition] as CeilingSpend)
  }
}

test.each([
  ['hour', 1, 6_000, 5, 'all at once, five times'],
  ['hour', 4, 6_000, 40, 'one by one, all the time'],
  ['minute', 4, 6_000, 40, 'one by one, all the time'],
] as const)(
  `a ceiling by the %s of %i samplers holds, although partitions move (seed ${seed})`,
  (per, count, limit, moves, _how) => {
    const windowMs = per === 'hour' ? hour : minute
    const specs: CeilingSpec[] = [
      { rule: 'span-error', ...(per === 'hour' ? { perHour: limit } : { perMinute: limit }) },
    ]
    const random = new Random(seed)
    const fleet = new Fleet(count)
    const offered = 10 * limit
    for (let i = 0; i < offered; i++) {
      if (i % Math.floor(offered / (moves + 1)) === 0 && i > 0) {
        if (count === 1) for (let p = 0; p < partitions; p++) fleet.move(p, 0)
        else fleet.move(random.int(0, partitions - 1), random.int(0, count - 1))
      }
      fleet.offer(specs, per, draw(random), (i * windowMs) / offered)
    }
    expect(fleet.kept).toBeLessThan(limit * 1.03)
    expect(fleet.kept).toBeGreaterThan(limit * 0.95)
  },
)

test('a partition that moves early, after a burst, does not keep its part once more', () => {
  const specs: CeilingSpec[] = [{ rule: 'span-error', perHour: 12_000 }]
  const fleet = new Fleet(1)
  const random = new Random(seed)
  const burst = (fromMs: number) => {
    for (let i = 0; i < 30_000; i++) {
      fleet.offer(specs, 'hour', draw(random), fromMs + i * 2)
    }
  }
  for (let at = 0; at < 10; at++) {
    burst(at * minute)
    for (let p = 0; p < partitions; p++) fleet.move(p, 0)
  }
  expect(fleet.kept).toBeLessThan(12_000 * 1.03)
})

test('what a process knew of a partition that it lost meanwhile gives way to what is on record', () => {
  const ceilings = new Ceilings(silentLog, new Metrics())
  const specs: CeilingSpec[] = [{ rule: 'span-error', perHour: 100 }]
  const match = { tenant: 't', rule: 'span-error', kind: 'k', asked: 1, partition: 0 }
  const share = () => ceilings.part(specs, match, minute)?.probability
  ceilings.hold(0, new CeilingSpend())
  for (let i = 0; i < 100; i++) ceilings.note({ ...match, isKept: true }, 'hour', minute)
  expect(share()).toBeLessThan(0.1)
  ceilings.hold(0, new CeilingSpend())
  expect(share()).toBe(1)
})

test('what a fold counts is what was given by a revision itself, in the window that it is in', () => {
  const spend = new CeilingSpend()
  spend.add(decided('a', 0.5, 10))
  spend.add(decided('a', 0.5, 20, { randomness: '7fffffffffffff' }))
  spend.add(decided('a', 0.5, 20, { revision: 2 }))
  spend.add(decided('a', 1, 20, { per: 'minute' }))
  expect(spend.of('a', 'span-error', 'hour', 30)).toEqual({ window: 0, kept: 1, expected: 1 })
  expect(spend.of('a', 'span-error', 'minute', 30)).toMatchObject({ kept: 1 })
  expect(spend.of('b', 'span-error', 'hour', 30)).toBeUndefined()
  expect(spend.of('a', 'span-error', 'minute', minute)).toBeUndefined()
  spend.add(decided('b', 1, hour))
  expect([...spend.entries()].map(([per, key]) => [per, key])).toEqual([
    ['minute', 'a\0span-error'],
    ['hour', 'b\0span-error'],
  ])
  spend.add(decided('late', 1, hour - 1))
  expect([...spend.entries()]).toHaveLength(2)
})

test(`as many as ${ceilingSpendsMax} are remembered of a window, and one past it is not`, () => {
  const spend = new CeilingSpend()
  for (let at = 0; at <= ceilingSpendsMax; at++) spend.add(decided(`${at}`, 1, 10))
  spend.add(decided('0', 1, 10))
  const kept = (tenant: number) => spend.of(`${tenant}`, 'span-error', 'hour', 10)?.kept
  expect([kept(0), kept(ceilingSpendsMax - 1), kept(ceilingSpendsMax)]).toEqual([2, 1, undefined])
})

const policy = parsePolicy(`
version: limited
rules:
  - kind: span-error
  - { kind: ordinary, probability: 0 }
ceilings:
  - { rule: span-error, perHour: 200 }
`)

test.each([
  ['from the log', false],
  ['from a snapshot', true],
])(
  'a sampler that starts anew within the hour has what its ceiling left, %s',
  async (_, isStored) => {
    const own = new World()
    world = own
    const events: string[] = []
    const log = { ...silentLog, info: (event: string) => void events.push(event) }
    const blobs = new MemoryBlobStore(own.clock)
    const random = new Random(seed)
    let id = 0
    const flood = async (batches: number, everyMs: number) => {
      const stored = isStored ? { blobs, config: { snapshotEvery: 1 } } : {}
      const sampler = await own.start({ policy, log, ...stored })
      for (let batch = 0; batch < batches; batch++) {
        own.clock.advanceMs(everyMs)
        const summaries = Array.from({ length: 40 }, () => {
          const span = { id: ++id, error: true }
          return summary(traceIdOf(id, draw(random)), [
            slice(id, [span], root(9), own.clock.nowMs()),
          ])
        })
        await own.write(...summaries)
        await own.settled()
      }
      if (isStored) await until(() => isSnapshotOfAll(own, blobs))
      await sampler.stop()
    }
    await flood(20, 120_000)
    await flood(10, 15_000)
    expect(own.clock.nowMs()).toBeLessThan(hour)
    expect(events.includes('sampler.snapshot_loaded')).toBe(isStored)
    const kept = (await own.decisions()).filter(
      one => one.kind === 'decision' && one.verdict === 'keep',
    )
    expect(kept.length).toBeGreaterThan(200 * 0.9)
    expect(kept.length).toBeLessThanOrEqual(200 * 1.03)
  },
)

async function isSnapshotOfAll({ bus, clock }: World, blobs: MemoryBlobStore): Promise<boolean> {
  clock.advanceMs(2)
  const { end } = await bus.bounds(topics.decisions, 0)
  for await (const { key } of blobs.list('')) if (key.includes(`${end}.`)) return true
  return false
}
