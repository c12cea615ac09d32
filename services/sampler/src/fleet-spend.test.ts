import { MemoryBus, topicSpecs } from '@winnow/bus'
import { ManualClock, Metrics, silentLog } from '@winnow/runtime'
import { Random } from '@winnow/testing'
import { expect, test, vi } from 'vitest'
import { FleetSpend, untoldShareMax } from './fleet-spend.ts'
import type { VariantSpec } from './policy-file.ts'
import { VariantSpend } from './variant-spend.ts'
import { VariantWatch } from './variant-watch.ts'

const partitions = 12
const specs = topicSpecs({ prefix: 'test', generation: 1, partitions })
const topic = specs.control.name
const nowMs = 86_400_000 * 400 + 5
const day = 400
const seed = 20261122

function newBus(): MemoryBus {
  return new MemoryBus(Object.values(specs), new ManualClock())
}

/** A partition's fold, as far as a cap goes: whoever holds the partition has it. */
class Fleet {
  readonly folds = Array.from({ length: partitions }, () => new VariantSpend())
  readonly members: FleetSpend[]
  readonly owners: number[]
  readonly bus = newBus()

  constructor(count: number) {
    this.members = Array.from({ length: count }, () => new FleetSpend(this.bus, topic))
    this.owners = this.folds.map((_, partition) => partition % count)
    for (const [partition, owner] of this.owners.entries()) this.#hold(owner, partition)
  }

  move(partition: number, owner: number): void {
    this.members[this.owners[partition] as number]?.release(partition)
    this.owners[partition] = owner
    this.#hold(owner, partition)
  }

  /** A trace of the arm on the partition, as a sampler decides on it. */
  async offer(partition: number, cap: number): Promise<void> {
    const member = this.members[this.owners[partition] as number] as FleetSpend
    if (member.isDue) await member.exchange()
    if (member.used('e', 'B', nowMs) >= cap) return
    this.folds[partition]?.plus([day, 'e\nB', 1])
    member.took('e', 'B', cap)
  }

  get kept(): number {
    return this.folds.reduce((sum, fold) => sum + fold.used('e', 'B', nowMs), 0)
  }

  #hold(owner: number, partition: number): void {
    this.members[owner]?.hold(partition, [this.folds[partition] as VariantSpend])
  }
}

test(`a cap holds over the fleet to ${untoldShareMax * 100} %, however traces fall and partitions move (seed ${seed})`, async () => {
  const random = new Random(seed)
  for (const [members, cap] of [
    [1, 1_000],
    [4, 1_000],
    [4, 10],
    [12, 5_000],
  ] as const) {
    const fleet = new Fleet(members)
    for (let i = 0; i < 4 * cap + 400; i++) {
      // Half of all falls on one partition.
      const partition = random.unit() < 0.5 ? 3 : Math.floor(random.unit() * partitions)
      if (random.unit() < 0.002) fleet.move(partition, Math.floor(random.unit() * members))
      await fleet.offer(partition, cap)
    }
    const over = members === 1 ? 0 : Math.max(members, untoldShareMax * cap)
    expect(fleet.kept, `${members} of ${cap}`).toBeGreaterThanOrEqual(cap)
    expect(fleet.kept, `${members} of ${cap}`).toBeLessThanOrEqual(cap + over)
  }
})

test('who comes later knows what was kept before, and another day begins at none', async () => {
  const fleet = new Fleet(4)
  for (let i = 0; i < 500; i++) await fleet.offer(i % partitions, 100)
  const late = new FleetSpend(fleet.bus, topic)
  for (const member of fleet.members) await member.exchange()
  await late.exchange()
  expect(late.used('e', 'B', nowMs)).toBe(fleet.kept)
  expect(late.used('e', 'B', nowMs + 86_400_000)).toBe(0)
})

test('a former owner that speaks late takes nothing back from what the owner has said', async () => {
  const bus = newBus()
  const spendOf = (traces: number) => {
    const spend = new VariantSpend()
    spend.plus([day, 'e\nB', traces])
    return [spend]
  }
  const [former, owner, third, reader] = [1, 2, 3, 4].map(() => new FleetSpend(bus, topic))
  former?.hold(0, spendOf(11))
  owner?.hold(0, spendOf(100))
  for (const member of [owner, reader, former, reader]) await member?.exchange()
  expect(reader?.used('e', 'B', nowMs), 'before the owner has said it again').toBe(100)
  await owner?.exchange()
  expect(owner?.isDue, 'it has to say it again').toBe(true)
  await owner?.exchange()
  await third?.exchange()
  expect(third?.used('e', 'B', nowMs)).toBe(100)
  owner?.release(0)
  await owner?.exchange()
  expect(owner?.used('e', 'B', nowMs), 'its own earlier record, and the other one').toBe(100)
})

test('what becomes due during an exchange is due after it', async () => {
  const member = new FleetSpend(newBus(), topic)
  const exchange = member.exchange()
  member.hold(0, [new VariantSpend()])
  await exchange
  expect(member.isDue).toBe(true)
  await member.exchange()
  expect(member.isDue).toBe(false)
})

test('a variant that ends at midnight is recorded with what its last day has used', async () => {
  const bus = newBus()
  const member = new FleetSpend(bus, topic)
  const spend = new VariantSpend()
  spend.plus([day, 'e\nB', 7])
  member.hold(0, [spend])
  const until = new Date((day + 1) * 86_400_000).toISOString()
  await member.recordEnds([{ ...spec, until }], (day + 1) * 86_400_000 + 5)
  const { records } = await bus.read(topic, 0, 0, 1e6, 0)
  expect(JSON.parse(Buffer.from(records.at(-1)?.value ?? []).toString())).toMatchObject({
    traces: 7,
  })
})

const spec: VariantSpec = {
  experiment: 'e',
  variant: 'B',
  until: new Date(nowMs + 1_000).toISOString(),
  dailyCap: 1_000,
  shareMax: 0.1,
}

function watchOf(bus: MemoryBus) {
  const spends = new FleetSpend(bus, topic)
  for (let at = 0; at < partitions / 2; at++) spends.hold(at, [new VariantSpend()])
  const warned: object[] = []
  const metrics = new Metrics()
  const log = {
    ...silentLog,
    warn: (_kind: string, fields?: object) => void warned.push(fields ?? {}),
  }
  const watch = new VariantWatch({ spends, log, metrics, everyMs: 1_000 })
  const gauge = async (name: string) =>
    (await metrics.text()).split('\n').find(line => line.startsWith(`${name}{`))
  return { watch, warned, gauge }
}

test('a variant whose forecast share is above what is allowed is warned of', async () => {
  const { watch, warned, gauge } = watchOf(newBus())
  // A minute of half the partitions: 600 traces, half of them the arm's.
  for (let i = 0; i < 600; i++)
    watch.forecast.note(i % 2 === 0 ? 'e\nB' : undefined, nowMs + i * 100)
  await watch.look(
    [{ ...spec, dailyCap: 1e9, until: '2100-01-01T00:00:00Z' }],
    nowMs + 61_000,
    nowMs,
  )
  expect(warned).toMatchObject([{ variant: 'B', split: 0.5, share: 0.5, shareMax: 0.1 }])
  expect(await gauge('winnow_variant_forecast_share')).toMatch(/ 0\.5$/)
  // Some 1.7 million traces a day, of which the cap takes a thousand.
  await watch.look([{ ...spec, until: '2100-01-01T00:00:00Z' }], nowMs + 61_000, nowMs)
  expect(warned).toHaveLength(1)
  expect(await gauge('winnow_variant_forecast_share')).toMatch(/ 0\.00058\d*$/)
})

test('the figures of a variant that has left the policy go with it', async () => {
  const { watch, gauge } = watchOf(newBus())
  const figures = ['cap_used_ratio', 'forecast_share', 'share_max']
  const said = () => Promise.all(figures.map(name => gauge(`winnow_variant_${name}`)))
  for (let i = 0; i < 600; i++) watch.forecast.note('e\nB', nowMs + i * 100)
  await watch.look([{ ...spec, until: '2100-01-01T00:00:00Z' }], nowMs + 61_000, nowMs)
  expect(await said()).not.toContain(undefined)
  expect(watch.hasSaid).toBe(true)
  await watch.look([], nowMs + 61_000, nowMs + 1_000)
  expect(await said()).toEqual([undefined, undefined, undefined])
  expect(watch.hasSaid).toBe(false)
})

test('the end of a variant is put on record once, by whoever sees it first', async () => {
  const bus = newBus()
  // Whatever was said of it: the topic keeps the last record of a key alone.
  const said = vi.spyOn(bus, 'append')
  const ends = () =>
    said.mock.calls
      .flatMap(([, , records]) => records)
      .filter(({ key }) => Buffer.from(key ?? []).toString() === 'spend/ended/e/B')
  const [a, b] = [watchOf(bus), watchOf(bus)]
  await a.watch.look([spec], nowMs, nowMs)
  expect(ends()).toHaveLength(0)
  for (const { watch } of [a, b, a]) await watch.look([spec], nowMs, nowMs + 1_000)
  const [record] = ends()
  expect(ends()).toHaveLength(1)
  expect(JSON.parse(Buffer.from(record?.value ?? []).toString())).toMatchObject({
    kind: 'variant-ended',
    experiment: 'e',
    variant: 'B',
    until: spec.until,
  })
})
