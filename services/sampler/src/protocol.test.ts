import {
  type Batch,
  type Bus,
  type BusRecord,
  type Lease,
  type Membership,
  MemoryBus,
  type NewRecord,
  type Position,
  topicSpecs,
  type ValueRange,
} from '@winnow/bus'
import {
  type CountingState,
  countingStart,
  countRecord,
  type Decision,
  type DecisionRecord,
  type Evidence,
  refKey,
  type Slice,
} from '@winnow/model'
import { Health, ManualClock, Metrics, PipelineError, silentLog } from '@winnow/runtime'
import { afterEach, expect, test } from 'vitest'
import { defaultSamplerConfig } from './config.ts'
import { evaluation, request, root, slice, summary, traceIdOf } from './fixtures.ts'
import { foldTrace } from './fold.ts'
import { defaultPolicy } from './policy-file.ts'
import { rederive } from './rederive.ts'
import { compilePolicy } from './rules.ts'
import { createSampler, type Sampler } from './sampler.ts'

const specs = topicSpecs({ prefix: 'test', generation: 1, partitions: 1 })
const topics = {
  evidence: specs.evidence.name,
  decisions: specs.decisions.name,
  baselines: specs.baselines.name,
  control: specs.control.name,
}

/** What a test may do to the calls of one instance; the default does nothing. */
interface Faults {
  /** Before any call: a pause, or a crash. */
  before?: (call: string) => Promise<void>
  /** The sampler's own clock; absent: the log's. */
  nowMs?: () => number
  /** What becomes of an append to `decisions`. */
  append?: () => 'lands' | 'fails' | 'ack is lost' | 'lands late'
}

/** A group in which a former owner is told nothing: it runs on, and only its commits are refused. */
class ForcedGroup {
  readonly clock = new ManualClock()
  readonly log = new MemoryBus(Object.values(specs), this.clock)
  readonly late: (() => Promise<unknown>)[] = []
  generation = 0
  position: Position | undefined

  constructor() {
    this.clock.advanceMs(1_000_000)
  }

  /** Makes a new owner of the partition. */
  assign(faults: Faults = {}): Owner {
    return new Owner(this, ++this.generation, faults)
  }

  async write(...evidence: Evidence[]): Promise<void> {
    const values = evidence.map(record => ({ value: Buffer.from(JSON.stringify(record)) }))
    await this.log.append(topics.evidence, 0, values)
  }

  async decisions(): Promise<Logged[]> {
    const { records } = await this.log.read(topics.decisions, 0, 0, 1e9, 0)
    let state: CountingState = countingStart
    return records.map(({ offset, value }) => {
      const record = JSON.parse(Buffer.from(value).toString()) as DecisionRecord
      const step = countRecord(state, offset, record)
      state = step.state
      return { offset, record, counts: step.counts }
    })
  }

  async counting(): Promise<Decision[]> {
    const all = await this.decisions()
    return all.flatMap(({ record, counts }) =>
      counts && record.kind === 'decision' ? [record] : [],
    )
  }

  async settled(): Promise<void> {
    await until(async () => {
      const { end } = await this.log.bounds(topics.evidence, 0)
      return (this.position?.offset ?? 0) === end
    })
  }
}

interface Logged {
  readonly offset: number
  readonly record: DecisionRecord
  readonly counts: boolean
}

/** One sampler with its own view of the bus. */
class Owner implements Bus {
  readonly group: ForcedGroup
  readonly generation: number
  readonly faults: Faults
  readonly sampler: Sampler
  readonly ended: Promise<void>
  readonly #ended = Promise.withResolvers<void>()

  constructor(group: ForcedGroup, generation: number, faults: Faults) {
    this.group = group
    this.generation = generation
    this.faults = faults
    this.ended = this.#ended.promise
    this.sampler = createSampler({
      bus: this,
      topics,
      group: 'sampler',
      policy: defaultPolicy,
      clock: {
        nowMs: () => faults.nowMs?.() ?? group.clock.nowMs(),
        sleep: (ms, signal) => group.clock.sleep(ms, signal),
      },
      log: silentLog,
      metrics: new Metrics(),
      health: new Health(),
      config: { ...defaultSamplerConfig, idleWait: 1, retryAfter: 1 },
      by: `owner-${generation}`,
    })
    owners.push(this)
  }

  async start(): Promise<this> {
    await this.sampler.start()
    return this
  }

  join(_topic: string, _group: string, fold: (lease: Lease) => Promise<void>): Membership {
    const { group } = this
    let next = group.position?.offset ?? 0
    const lease: Lease = {
      partition: 0,
      committed: group.position,
      lost: new AbortController().signal,
      read: async (bytesMax, waitMs) => {
        const batch = await this.read(topics.evidence, 0, next, bytesMax, waitMs)
        next = (batch.records.at(-1)?.offset ?? next - 1) + 1
        return batch
      },
      commit: async position => {
        await this.#before('commit')
        if (this.generation !== group.generation) {
          throw new PipelineError('STALE_OWNER', 'another generation')
        }
        group.position = position
      },
    }
    const failed = Promise.withResolvers<never>()
    fold(lease).catch(failed.reject).finally(this.#ended.resolve)
    return { failed: failed.promise, close: () => this.ended }
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    await this.#before(`append ${topic}`)
    const land = () => this.group.log.append(topic, partition, records)
    const fate = topic === topics.decisions ? (this.faults.append?.() ?? 'lands') : 'lands'
    if (fate === 'lands') return land()
    if (fate === 'ack is lost') await land()
    if (fate === 'lands late') this.group.late.push(land)
    throw new PipelineError('BUS_UNAVAILABLE', fate)
  }

  async fetch(topic: string, partition: number, offset: number): Promise<BusRecord> {
    await this.#before('fetch')
    return this.group.log.fetch(topic, partition, offset)
  }

  async fetchRanges(topic: string, partition: number, ranges: readonly ValueRange[]) {
    await this.#before('fetchRanges')
    return this.group.log.fetchRanges(topic, partition, ranges)
  }

  async read(
    topic: string,
    p: number,
    from: number,
    bytesMax: number,
    waitMs: number,
  ): Promise<Batch> {
    await this.#before('read')
    // One decision a read: whoever forgets to read on has not folded the log.
    const max = topic === topics.decisions ? 1 : bytesMax
    return this.group.log.read(topic, p, from, max, waitMs)
  }

  bounds(topic: string, partition: number) {
    return this.group.log.bounds(topic, partition)
  }

  partitionCount(topic: string) {
    return this.group.log.partitionCount(topic)
  }

  logId(topic: string) {
    return this.group.log.logId(topic)
  }

  async committed() {
    return this.group.position
  }

  async close(): Promise<void> {}

  async #before(call: string): Promise<void> {
    await this.faults.before?.(call)
  }
}

const owners: Owner[] = []
afterEach(async () => {
  await Promise.all(owners.splice(0).map(({ sampler }) => sampler.stop()))
})

async function until(isTrue: () => Promise<boolean> | boolean): Promise<void> {
  for (let turns = 0; turns < 5_000; turns++) {
    if (await isTrue()) return
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  throw new Error('never came true')
}

/** A point that calls wait at until it is opened. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { reached: false, promise, open: resolve }
}

const trace = (id: number) => traceIdOf(id)
const single = (id: number) => summary(trace(id), [slice(id, [{ id: 1 }], root(9))])

test('what a former owner appends after the new claim does not count, and it leaves', async () => {
  const group = new ForcedGroup()
  const stop = gate()
  const zombie = await group
    .assign({
      before: async call => {
        if (call !== `append ${topics.decisions}` || group.generation === 1) return
        stop.reached = true
        await stop.promise
      },
    })
    .start()
  await group.write(single(1))
  await group.settled()
  // The new owner is assigned while the old one has decided and not yet appended.
  group.generation++
  await group.write(single(2))
  await until(() => stop.reached)
  group.generation--
  await group.assign().start()
  await group.settled()
  stop.open()
  await zombie.ended
  const log = await group.decisions()
  const second = log.filter(
    ({ record }) => record.kind === 'decision' && record.traceId === trace(2),
  )
  expect(second.map(({ counts }) => counts)).toEqual([true, false])
  expect(second.map(({ record }) => (record as Decision).claim)).toEqual([2, 0])
  expect(group.position?.offset).toBe(2)
})

test('an owner fenced by a claim that came late asks whose the partition is, and claims again', async () => {
  const group = new ForcedGroup()
  const sleep = gate()
  const sleeper = group.assign({
    before: async call => {
      if (call === `append ${topics.decisions}`) {
        sleep.reached = true
        await sleep.promise
      }
    },
  })
  await sleeper.start()
  await until(() => sleep.reached)
  await group.assign().start()
  await group.write(single(1))
  await group.settled()
  sleep.open()
  await sleeper.ended
  await group.write(single(2), evaluation(trace(1), { name: 'csat', score: 1 }))
  await group.settled()
  const log = await group.decisions()
  const claims = log.flatMap(({ record }) => (record.kind === 'claim' ? [record.by] : []))
  expect(claims).toEqual(['owner-2', 'owner-1', 'owner-2'])
  expect((await group.counting()).map(d => [d.traceId, d.revision, d.verdict])).toEqual([
    [trace(1), 1, 'drop'],
    [trace(2), 1, 'drop'],
    [trace(1), 2, 'keep'],
  ])
})

test('a fenced owner decides again what did not count, from the evidence it had not committed', async () => {
  const group = new ForcedGroup()
  const held = gate()
  let isHolding = false
  const owner = await group
    .assign({
      before: async call => {
        if (!isHolding || call !== `append ${topics.decisions}`) return
        held.reached = true
        await held.promise
      },
    })
    .start()
  await group.write(single(1))
  await group.settled()
  isHolding = true
  await group.write(single(2))
  await until(() => held.reached)
  // A stranger's claim lands just before the append does.
  await group.log.append(topics.decisions, 0, [
    { value: Buffer.from(JSON.stringify({ v: 1, kind: 'claim', by: 'stale' })) },
  ])
  isHolding = false
  held.open()
  await group.settled()
  const second = (await group.decisions()).filter(
    ({ record }) => record.kind === 'decision' && record.traceId === trace(2),
  )
  expect(second.map(({ counts }) => counts)).toEqual([false, true])
  await owner.sampler.stop()
})

test('an append whose acknowledgement is lost is repeated unchanged and counts once', async () => {
  const group = new ForcedGroup()
  const fates = ['lands', 'ack is lost', 'ack is lost', 'lands', 'lands'] as const
  let next = 0
  await group.assign({ append: () => fates[next++] ?? 'lands' }).start()
  await group.write(single(1))
  await group.settled()
  await group.write(single(2))
  await group.settled()
  const log = (await group.decisions()).filter(({ record }) => record.kind === 'decision')
  expect(log.map(({ record, counts }) => [(record as Decision).seq, counts])).toEqual([
    [1, true],
    [1, false],
    [1, false],
    [2, true],
  ])
})

test('an append that lands after its own repetition changes nothing', async () => {
  const group = new ForcedGroup()
  const fates = ['lands', 'lands late', 'lands', 'lands'] as const
  let next = 0
  await group.assign({ append: () => fates[next++] ?? 'lands' }).start()
  await group.write(single(1))
  await group.settled()
  await group.write(single(2))
  await group.settled()
  await Promise.all(group.late.splice(0).map(land => land()))
  await group.write(evaluation(trace(1), { name: 'csat', score: 1 }))
  await group.settled()
  expect((await group.counting()).map(d => [d.seq, d.revision])).toEqual([
    [1, 1],
    [2, 1],
    [3, 2],
  ])
})

test('who had no answer for longer than maxStall claims again before it appends', async () => {
  for (const [sleptMs, claims] of [
    [600_000, 1],
    [600_001, 2],
  ]) {
    const group = new ForcedGroup()
    // The answer to the fetch is the last sign of life; between it and the append the process sleeps.
    let looks = Number.NEGATIVE_INFINITY
    const owner = await group
      .assign({
        before: async call => {
          if (call === 'fetch' && looks < 0) looks = 0
        },
        nowMs: () => group.clock.nowMs() + (looks++ > 0 ? (sleptMs ?? 0) : 0),
      })
      .start()
    await group.write(single(1))
    await group.settled()
    await group.write(evaluation(trace(1), { name: 'csat', score: 1 }))
    await group.settled()
    const log = await group.decisions()
    expect(log.filter(({ record }) => record.kind === 'claim')).toHaveLength(claims ?? 0)
    expect((await group.counting()).map(({ verdict }) => verdict)).toEqual(['drop', 'keep'])
    await owner.sampler.stop()
  }
})

/** mulberry32 */
function dice(seed: number): (below: number) => number {
  let a = (seed * 2654435761) >>> 0
  return below => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = a
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below)
  }
}

interface Sent {
  readonly slices: Map<string, Slice>
  readonly evaluations: Map<string, { id: string; name: string; score: number }>
  isRequested: boolean
}

/** Evidence with overlaps, fragments, replays and evaluations before and after; what was sent in all. */
function traffic(roll: (below: number) => number): {
  batches: Evidence[][]
  sent: Map<string, Sent>
} {
  const sent = new Map<string, Sent>()
  const evidence: Evidence[] = []
  let offset = 0
  for (let id = 1; id <= 6; id++) {
    const traceId = traceIdOf(id, roll(3) === 0 ? 'ffffffffffffff' : '00000000000000')
    const of: Sent = { slices: new Map(), evaluations: new Map(), isRequested: roll(12) === 0 }
    sent.set(traceId, of)
    const slices = Array.from({ length: 1 + roll(4) }, (_, at) => {
      const spans = Array.from({ length: 1 + roll(3) }, () => ({
        id: 1 + roll(6),
        operation: roll(3),
        inputTokens: roll(9),
        error: roll(25) === 0,
      }))
      return slice(offset++, spans, at === 0 ? root(10 + roll(90)) : {}, 1_000_000)
    })
    for (const one of slices) of.slices.set(refKey(one.ref), one)
    for (let cut = 0; cut < slices.length; cut += 1 + roll(2)) {
      evidence.push(summary(traceId, slices.slice(Math.max(0, cut - roll(2)), cut + 2)))
    }
    evidence.push(summary(traceId, slices.slice(-1 - roll(2))))
    for (let n = roll(3); n > 0; n--) {
      const score = 1 + roll(8)
      const name = roll(2) === 0 ? 'csat' : 'comfort'
      const one = evaluation(traceId, { name, score: Math.min(5, score), id: `${traceId}.${n}` })
      of.evaluations.set(one.id, { id: one.id, name, score: Math.min(5, score) })
      evidence.push(one)
      if (roll(3) === 0) evidence.push(one)
    }
    if (of.isRequested) evidence.push(request(traceId))
  }
  for (let i = evidence.length - 1; i > 0; i--) {
    const j = roll(i + 1)
    ;[evidence[i], evidence[j]] = [evidence[j] as Evidence, evidence[i] as Evidence]
  }
  const batches: Evidence[][] = []
  while (evidence.length > 0) batches.push(evidence.splice(0, 1 + roll(4)))
  return { batches, sent }
}

test('through zombies, crashes and lost acknowledgements the last revisions are those of one owner', async () => {
  const policy = compilePolicy(defaultPolicy)
  const seen = { fenced: 0, notCounted: 0, crashed: 0 }
  for (let seed = 1; seed <= 40; seed++) {
    const roll = dice(seed)
    const group = new ForcedGroup()
    const { batches, sent } = traffic(roll)
    let isCalm = false
    let alive: Owner[] = []
    const assign = async () => {
      let isDead = false
      const owner = group.assign({
        before: async () => {
          for (let n = roll(4); n > 0; n--) await new Promise(setImmediate)
          if (!isCalm && roll(150) === 0) isDead = true
          // A process that is gone never hears of its calls.
          if (!isDead) return
          seen.crashed++
          throw new PipelineError('DATA_CORRUPT', 'crash')
        },
        append: () => {
          const x = isCalm ? 99 : roll(30)
          return x === 0 ? 'fails' : x < 3 ? 'ack is lost' : x < 5 ? 'lands late' : 'lands'
        },
      })
      alive.push(await owner.start())
    }
    await assign()
    for (const batch of batches) {
      await group.write(...batch)
      group.clock.advanceMs(roll(2_000))
      for (let n = roll(12); n > 0; n--) await new Promise(setImmediate)
      if (roll(5) === 0) await assign()
      if (group.late.length > 0 && roll(3) === 0) await group.late.shift()?.()
    }
    for (const land of group.late.splice(0)) await land()
    isCalm = true
    await assign()
    await group.settled().catch(error => {
      throw new Error(`seed ${seed}`, { cause: error })
    })
    for (const { sampler } of alive) await sampler.stop()
    alive = []

    const log = await group.decisions()
    seen.notCounted += log.filter(
      ({ record, counts }) => record.kind === 'decision' && !counts,
    ).length
    seen.fenced += log.filter(({ record }) => record.kind === 'claim').length
    const last = new Map<string, Decision>()
    const written = new Map<string, string[]>()
    for (const decision of await group.counting()) {
      const { traceId } = decision
      const before = last.get(traceId)
      expect(decision.revision, `seed ${seed}`).toBe((before?.revision ?? 0) + 1)
      if (before?.verdict === 'keep') expect(decision.verdict, `seed ${seed}`).toBe('keep')
      const keys = decision.slices.map(({ ref }) => refKey(ref))
      for (const { ref } of before?.slices ?? [])
        expect(keys, `seed ${seed}`).toContain(refKey(ref))
      expect(rederive(decision, policy).differences, `seed ${seed}`).toEqual([])
      const rows = written.get(traceId) ?? []
      rows.push(...decision.write.map(at => keys[at] as string))
      written.set(traceId, rows)
      last.set(traceId, decision)
    }
    for (const [traceId, of] of sent) {
      const decision = last.get(traceId)
      const facts = foldTrace([...of.slices.values()])
      const isLow = [...of.evaluations.values()].some(e => e.name === 'csat' && e.score <= 2)
      const errors = facts.fatalErrors + facts.recoveredErrors
      const isKept = errors > 0 || isLow || of.isRequested || traceId.endsWith('ff')
      expect(decision, `seed ${seed}`).toMatchObject({
        verdict: isKept ? 'keep' : 'drop',
        primary:
          errors > 0
            ? 'span-error'
            : isLow
              ? 'low-csat'
              : of.isRequested
                ? 'requested'
                : 'ordinary',
        spanCount: facts.spanCount,
        inputTokens: facts.inputTokens,
      })
      expect(decision?.slices.map(({ ref }) => refKey(ref)).sort()).toEqual(
        [...of.slices.keys()].sort(),
      )
      expect(decision?.evaluations.map(({ id }) => id).sort()).toEqual(
        [...of.evaluations.keys()].sort(),
      )
      // Each slice of a kept trace is written once, none of a dropped one.
      expect((written.get(traceId) ?? []).sort(), `seed ${seed}`).toEqual(
        isKept ? [...of.slices.keys()].sort() : [],
      )
    }
  }
  expect(seen.notCounted).toBeGreaterThan(20)
  expect(seen.fenced).toBeGreaterThan(100)
  expect(seen.crashed).toBeGreaterThan(5)
}, 60_000)
