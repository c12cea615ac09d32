import { setImmediate } from 'node:timers/promises'
import { type Decision, type PackedSlice, packSlice } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import type { MemoryBlobStore } from '@winnow/storage'
import { Random } from '@winnow/testing'
import { expect, test } from 'vitest'
import { ForcedLease, type Positions, segmentsProcess } from './forced-lease.fixture.ts'
import { noteOf, stateOf } from './position.ts'
import { countingOf, ledgerOffsets, spanNames, type Tiers, tiersOf } from './tiers.fixture.ts'
import {
  decisionOn,
  decisionsTopic,
  Fixture,
  spanOf,
  startMs,
  traceIdOf,
  until,
} from './writer.fixture.ts'

/** At the end of the log, where a forced lease lets time pass. */
const atTheEnd = { segmentAge: 1_000 }
const start = { claim: -1, next: 1 }
const fromZero = (): Positions => ({ committed: { offset: 0, note: noteOf(start) } })

/** The process ends here, whatever it was about to do. */
class Crash extends Error {}

type Act = (land: () => Promise<boolean>) => Promise<boolean>

/** Another process's view of the same objects, in which a put may go wrong. */
function faulty(blobs: MemoryBlobStore, act: (key: string) => Act): MemoryBlobStore {
  return new Proxy(blobs, {
    get: (target, name) => {
      if (name === 'create') {
        return (key: string, bytes: Uint8Array) => act(key)(() => target.create(key, bytes))
      }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const memoryBlobs = (fixture: Fixture): MemoryBlobStore => fixture.blobs as MemoryBlobStore

/** Runs a process until its position is at the end of the log. */
async function toTheEnd(fixture: Fixture, positions: Positions, config = {}): Promise<void> {
  const lease = new ForcedLease(fixture, positions)
  const done = segmentsProcess(fixture, lease, { ...atTheEnd, ...config })
  const { end } = await fixture.bus.bounds(decisionsTopic, 0)
  await Promise.race([
    done,
    until(`committed ${end}`, () => (positions.committed?.offset ?? -1) === end),
  ])
  lease.lose()
  await done
}

/** Everything the protocol promises of the objects, from the log alone. */
async function expectExactlyOnce(fixture: Fixture, from = 0): Promise<Tiers> {
  const tiers = await tiersOf(fixture.blobs)
  const counting = await countingOf(fixture.bus)
  const { end } = await fixture.bus.bounds(decisionsTopic, 0)
  expect(ledgerOffsets(tiers)).toEqual(counting.map(({ offset }) => offset))
  let next = from
  for (const { metadata, rows } of tiers.ledger) {
    const { a, b } = metadata
    expect(a, 'no gap and no overlap').toBe(next)
    next = b + 1
    const own = counting.filter(({ offset }) => offset >= a && offset <= b)
    expect(rows.map(row => row.sampling_offset).sort((x, y) => x - y)).toEqual(
      own.map(({ offset }) => offset),
    )
    const spans = [...new Set(own.flatMap(({ decision }) => spansToWrite(decision)))].sort()
    expect(metadata.rows).toEqual({ ledger: own.length, warm: spans.length, cold: spans.length })
    for (const tier of [tiers.warm, tiers.cold]) {
      const same = tier.filter(segment => segment.metadata.a === a)
      expect(spanNames(same), `[${a}, ${b}]`).toEqual(spans)
      // No rows, no object.
      expect(same.map(segment => segment.metadata.b)).toEqual(spans.length === 0 ? [] : [b])
    }
  }
  expect(next).toBe(end)
  const ranges = new Set(tiers.ledger.map(({ metadata }) => metadata.a))
  for (const { metadata } of [...tiers.warm, ...tiers.cold]) {
    expect(ranges.has(metadata.a), `${metadata.tier} of ${metadata.a} has a ledger`).toBe(true)
  }
  return tiers
}

/** A slice's service name lists its spans here, so that the log alone tells what must be written. */
const spansToWrite = ({ traceId, slices, write }: Decision): string[] =>
  write.flatMap(at => (slices[at]?.facts.services ?? []).map(spanId => `${traceId} ${spanId}`))

async function sliceOf(
  fixture: Fixture,
  traceId: string,
  spans: readonly number[],
): Promise<PackedSlice> {
  const own = spans.map(n => spanOf(traceId, n))
  const [slice] = await fixture.slices([own])
  if (slice === undefined) throw new TypeError('one slice was asked for')
  const services = own.map(({ spanId }) => spanId)
  return packSlice({ ...slice, facts: { ...slice.facts, services } })
}

async function keepOne(fixture: Fixture, n: number): Promise<number> {
  return fixture.decide(traceIdOf(n), { slices: [await sliceOf(fixture, traceIdOf(n), [0, 1])] })
}

async function tenDecisions(): Promise<Fixture> {
  const fixture = new Fixture()
  for (let n = 0; n < 10; n++) await (n % 3 === 2 ? fixture.drop(n) : keepOne(fixture, n))
  return fixture
}

const ranges = ({ ledger }: Tiers): number[][] =>
  ledger.map(({ metadata }) => [metadata.a, metadata.b])

test('who has read more takes the b that somebody fixed before, and writes exactly that', async () => {
  const fixture = await tenDecisions()
  await toTheEnd(fixture, fromZero(), { segmentDecisions: 4 })
  expect(ranges(await tiersOf(fixture.blobs))[0]).toEqual([0, 3])
  // A former owner that knows nothing of the commit, and gathers up to seven.
  await toTheEnd(fixture, fromZero(), { segmentDecisions: 7 })
  const tiers = await expectExactlyOnce(fixture)
  expect(ranges(tiers)).toEqual([
    [0, 3],
    [4, 7],
    [8, 10],
  ])
})

test('who has read less reads on up to the b that somebody fixed before', async () => {
  const fixture = await tenDecisions()
  await toTheEnd(fixture, fromZero(), { segmentDecisions: 7 })
  const positions = fromZero()
  const lease = new ForcedLease(fixture, positions, () => 2)
  const done = segmentsProcess(fixture, lease, { ...atTheEnd, segmentDecisions: 2 })
  await until('it has met the end', () => positions.committed?.offset === 11)
  lease.lose()
  await done
  expect(ranges(await expectExactlyOnce(fixture))).toEqual([
    [0, 6],
    [7, 10],
  ])
})

test('of two that put the same range at the same moment, the tiers are of one b', async () => {
  const fixture = await tenDecisions()
  const positions = fromZero()
  const leases = [4, 7].map(segmentDecisions => {
    const lease = new ForcedLease(fixture, positions)
    return { lease, done: segmentsProcess(fixture, lease, { ...atTheEnd, segmentDecisions }) }
  })
  await until('all is committed', () => positions.committed?.offset === 11)
  for (const { lease, done } of leases) {
    lease.lose()
    await done
  }
  await expectExactlyOnce(fixture)
})

for (const tier of ['ledger', 'cold', 'warm']) {
  for (const landed of [false, true]) {
    const what = `${landed ? 'after' : 'before'} the put of ${tier}`
    test(`a crash ${what} leaves each tier exactly once to the next`, async () => {
      const fixture = await tenDecisions()
      const crashing = faulty(memoryBlobs(fixture), key => async land => {
        if (!key.startsWith(tier)) return land()
        if (landed) await land()
        throw new Crash(key)
      })
      const config = { ...atTheEnd, segmentDecisions: 4 }
      const positions = fromZero()
      for (const from of [positions, { committed: undefined }]) {
        const lease = new ForcedLease(fixture, from)
        const process = segmentsProcess(fixture, lease, config, { blobs: crashing })
        await expect(process).rejects.toThrow(Crash)
      }
      expect(positions).toEqual(fromZero())
      await toTheEnd(fixture, { committed: undefined }, { segmentDecisions: 3 })
      await expectExactlyOnce(fixture)
    })
  }
}

test('a crash between the last put and the commit: what is there is found and nothing is put again', async () => {
  const fixture = await tenDecisions()
  await toTheEnd(fixture, fromZero(), { segmentDecisions: 4 })
  const puts: string[] = []
  const watched = faulty(memoryBlobs(fixture), key => land => {
    puts.push(key)
    return land()
  })
  const positions = fromZero()
  const lease = new ForcedLease(fixture, positions)
  const done = segmentsProcess(fixture, lease, atTheEnd, { blobs: watched })
  await until('all is committed', () => positions.committed?.offset === 11)
  lease.lose()
  await done
  expect(puts).toEqual([])
  await expectExactlyOnce(fixture)
})

test('an acknowledgement that is lost is a put that is found', async () => {
  const fixture = await tenDecisions()
  const lost = new Set<string>()
  const blobs = faulty(memoryBlobs(fixture), key => async land => {
    const created = await land()
    if (lost.has(key)) return created
    lost.add(key)
    throw new PipelineError('STORE_UNAVAILABLE', 'the answer was lost')
  })
  const positions = fromZero()
  const lease = new ForcedLease(fixture, positions)
  const done = segmentsProcess(fixture, lease, atTheEnd, { blobs })
  await until('all is committed', () => positions.committed?.offset === 11)
  lease.lose()
  await done
  expect(lost.size).toBe(3)
  await expectExactlyOnce(fixture)
})

test('a lease that is lost in the middle of a flush commits nothing, and the new owner ends it', async () => {
  const fixture = await tenDecisions()
  const positions = fromZero()
  const lease = new ForcedLease(fixture, positions)
  const blobs = faulty(memoryBlobs(fixture), key => async land => {
    if (key.startsWith('cold')) lease.lose()
    return land()
  })
  await segmentsProcess(fixture, lease, { ...atTheEnd, segmentDecisions: 4 }, { blobs })
  expect(positions).toEqual(fromZero())
  await toTheEnd(fixture, positions)
  await expectExactlyOnce(fixture)
})

test('without a commit the last segment says where to go on, and what counts there', async () => {
  const fixture = await tenDecisions()
  await toTheEnd(fixture, fromZero(), { segmentDecisions: 4 })
  // Repeats: whoever counted from here without knowing the state would take the first at its word.
  await fixture.record(decisionOn(traceIdOf(70), { claim: 0, seq: 1 }))
  await fixture.record(decisionOn(traceIdOf(71), { claim: 0, seq: 2 }))
  await keepOne(fixture, 50)
  const warm = (await tiersOf(fixture.blobs)).warm.at(-1)
  await fixture.blobs.delete(warm?.key ?? '')
  const positions: Positions = { committed: undefined }
  await toTheEnd(fixture, positions)
  await expectExactlyOnce(fixture)
  expect(stateOf(positions.committed?.note)).toEqual({ claim: 0, next: 12 })
})

test('a commit without our note is not ours: the segments say where to go on', async () => {
  const fixture = await tenDecisions()
  await toTheEnd(fixture, fromZero(), { segmentDecisions: 4 })
  await keepOne(fixture, 50)
  // As a tool sets a group back to the beginning, or into the middle of a segment.
  for (const offset of [0, 9]) {
    await toTheEnd(fixture, { committed: { offset, note: '' } })
    await keepOne(fixture, 60 + offset)
  }
  await toTheEnd(fixture, { committed: { offset: 0, note: '' } })
  await expectExactlyOnce(fixture)
})

test('behind a retention gap another’s segments are not written again', async () => {
  const fixture = await tenDecisions()
  const log = await countingOf(fixture.bus)
  // [0, 3], [4, 10]: written by somebody who did not live to commit.
  await toTheEnd(fixture, fromZero(), { segmentDecisions: 4 })
  await keepOne(fixture, 50)
  fixture.bus.expire(decisionsTopic, 0, 6)
  for (const positions of [fromZero(), { committed: undefined }]) {
    await toTheEnd(fixture, positions)
    const tiers = await tiersOf(fixture.blobs)
    expect(ledgerOffsets(tiers)).toEqual([...log.map(({ offset }) => offset), 11])
  }
})

test('the same name with another log’s first record is a hard error that says what to do', async () => {
  const fixture = await tenDecisions()
  const other = await tenDecisions()
  // As when a data folder is wiped, and the topic made again under its old id, but not the bucket.
  const logId = await fixture.bus.logId(decisionsTopic)
  other.bus.logId = async () => logId
  await other.record({ v: 1, kind: 'claim', by: 'another' })
  await toTheEnd(fixture, fromZero())
  const elsewhere = new Fixture({ blobs: () => fixture.blobs })
  elsewhere.bus.logId = async () => logId
  await elsewhere.record({ v: 1, kind: 'claim', by: 'another' })
  await elsewhere.drop(1)
  const before = JSON.stringify((await tiersOf(fixture.blobs)).ledger.map(({ key }) => key))
  const lease = new ForcedLease(elsewhere, fromZero())
  await expect(segmentsProcess(elsewhere, lease, atTheEnd)).rejects.toThrow(
    /DATA_CORRUPT.*another log's.*its own data folder/,
  )
  expect(JSON.stringify((await tiersOf(fixture.blobs)).ledger.map(({ key }) => key))).toBe(before)
})

test('two logs have two sets of objects', async () => {
  const fixture = await tenDecisions()
  const other = new Fixture({ blobs: () => fixture.blobs })
  await keepOne(other, 1)
  await toTheEnd(fixture, fromZero())
  await toTheEnd(other, fromZero())
  const { ledger } = await tiersOf(fixture.blobs)
  expect(ledger.map(({ metadata }) => metadata.logId).sort()).toEqual(
    [await fixture.bus.logId(decisionsTopic), await other.bus.logId(decisionsTopic)].sort(),
  )
})

/** Traces that are dropped, kept, rescued and added to, by samplers of which some are stale. */
class Sampling {
  readonly #fixture: Fixture
  readonly #random: Random
  readonly #traces: { slices: PackedSlice[]; kept: boolean; revision: number }[] = []
  #claim = 0
  #seq = 0
  #staleClaim = 0

  constructor(fixture: Fixture, random: Random) {
    this.#fixture = fixture
    this.#random = random
  }

  async step(): Promise<void> {
    const random = this.#random
    if (this.#seq === 0 || random.chance(0.1)) return this.#takeOver()
    const n = random.chance(0.6) ? this.#traces.length : random.int(0, this.#traces.length)
    const traceId = traceIdOf(n)
    const trace = this.#traces[n] ?? { slices: [], kept: false, revision: 0 }
    this.#traces[n] = trace
    const before = trace.kept ? trace.slices.length : 0
    if (trace.revision === 0 || random.chance(0.6)) {
      // A span that came before comes again now and then, in a slice of its own.
      const first = random.int(0, 3)
      const spans = Array.from({ length: random.int(1, 3) }, (_, at) => first + at)
      trace.slices.push(await sliceOf(this.#fixture, traceId, spans))
    }
    trace.kept ||= random.chance(0.5)
    trace.revision++
    const write = trace.kept ? trace.slices.map((_, at) => at).slice(before) : []
    const decision = decisionOn(traceId, {
      slices: [...trace.slices],
      write,
      verdict: trace.kept ? 'keep' : 'drop',
      revision: trace.revision,
      claim: this.#claim,
      seq: this.#seq++,
    })
    await this.#fixture.record(decision)
    if (random.chance(0.1)) await this.#fixture.record(decision)
    if (random.chance(0.1)) {
      await this.#fixture.record({ ...decision, claim: this.#staleClaim, seq: random.int(1, 4) })
    }
  }

  async #takeOver(): Promise<void> {
    this.#staleClaim = this.#claim
    this.#claim = await this.#fixture.claim()
    this.#seq = 1
  }
}

/** Puts that are slow, lost, or the last thing a process does. */
function adversary(random: Random): (key: string) => Act {
  return key => async land => {
    for (let turns = random.int(0, 6); turns > 0; turns--) await setImmediate()
    if (random.chance(0.05)) throw new Crash(`before ${key}`)
    const created = await land()
    for (let turns = random.int(0, 3); turns > 0; turns--) await setImmediate()
    if (random.chance(0.07)) throw new Crash(`after ${key}`)
    return created
  }
}

const seeds = 12

test(`through crashes and former owners every decision is in one segment a tier (${seeds} seeds)`, async () => {
  for (let seed = 1; seed <= seeds; seed++) await schedule(seed)
})

async function schedule(seed: number): Promise<void> {
  const random = Random.of(seed, 0)
  const fixture = new Fixture()
  const sampling = new Sampling(fixture, random)
  const positions: Positions = { committed: undefined }
  const running: { lease: ForcedLease; done: Promise<void> }[] = []
  const begin = (): void => {
    const lease = new ForcedLease(fixture, positions, () => random.int(1, 6))
    const blobs = faulty(memoryBlobs(fixture), adversary(random))
    const config = { segmentDecisions: random.int(1, 9), segmentAge: random.int(10, 2_000) }
    const process = { lease, done: Promise.resolve() }
    process.done = segmentsProcess(fixture, lease, config, { blobs })
      .catch((error: unknown) => {
        if (!(error instanceof Crash)) throw error
      })
      .finally(() => running.splice(running.indexOf(process), 1))
    running.push(process)
  }
  try {
    for (let step = 0; step < 60; step++) {
      await sampling.step()
      fixture.clock.advanceMs(random.int(0, 20))
      if (running.length === 0 || (running.length < 3 && random.chance(0.1))) {
        // Whoever was the owner goes on for a while; only its commits are refused.
        for (const { lease } of running) lease.isStale = true
        begin()
      }
      const old = running.find(({ lease }) => lease.isStale)
      if (old !== undefined && random.chance(0.1)) old.lease.lose()
      if (random.chance(0.5)) await new Promise(resolve => setTimeout(resolve, 1))
    }
    for (const { lease } of running) lease.lose()
    await Promise.all(running.map(({ done }) => done))
    await fixture.claim()
    await keepOne(fixture, 1_000)
    await toTheEnd(fixture, positions)
    await expectExactlyOnce(fixture)
  } catch (error) {
    throw new Error(`seed ${seed}, begun at ${startMs}`, { cause: error })
  }
}
