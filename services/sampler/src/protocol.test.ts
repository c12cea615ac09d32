import { compareRefs, type Decision, type Evidence, type PackedSlice, refKey } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { MemoryBlobStore } from '@winnow/storage'
import { Random } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import { evaluation, request, root, slice, summary, traceIdOf } from './fixtures.ts'
import { foldTrace } from './fold.ts'
import { ForcedGroup, type Owner, owners } from './forced-group.fixture.ts'
import { defaultPolicy } from './policy-file.ts'
import { rederive } from './rederive.ts'
import { compilePolicy } from './rules.ts'
import { topics, until } from './world.fixture.ts'

afterEach(async () => {
  await Promise.all(owners.splice(0).map(({ sampler }) => sampler.stop()))
})

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

test('a snapshot from behind a later claim is not taken up: that claim would never be read', async () => {
  const group = new ForcedGroup()
  const blobs = new MemoryBlobStore(group.clock)
  const stop = gate()
  const zombie = group.assign({
    blobs,
    before: async call => {
      if (call !== `bounds ${topics.decisions}`) return
      stop.reached = true
      await stop.promise
    },
  })
  let failure: unknown
  zombie.sampler.failed.catch(error => {
    failure = error
  })
  await zombie.start()
  // It has claimed, and sleeps before it looks at the log.
  await until(() => stop.reached)
  const owner = await group.assign({ blobs }).start()
  await group.write(single(1))
  await group.settled()
  await until(async () => {
    group.clock.advanceMs(2)
    for await (const { key } of blobs.list('')) if (key.endsWith('000003.idx')) return true
    return false
  })
  await owner.sampler.stop()
  await group.write(single(2))
  stop.open()
  await zombie.ended
  // It has read the later claim, asked whose the partition is, and was told: no log has lost a record.
  expect(failure).toBeUndefined()
  expect((await group.counting()).map(({ traceId }) => traceId)).toEqual([trace(1)])
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

/** A whole number below its argument. */
function dice(seed: number): (below: number) => number {
  const random = new Random(seed * 2654435761)
  return below => Math.floor(random.unit() * below)
}

interface Sent {
  readonly slices: Map<string, PackedSlice>
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
    // One in three of these has more slices than a record takes.
    const isGiant = id >= 5 && roll(3) === 0
    const slices = Array.from({ length: isGiant ? 260 + roll(300) : 1 + roll(4) }, (_, at) => {
      const spans = Array.from({ length: 1 + roll(3) }, () => ({
        id: 1 + roll(6),
        operation: roll(3),
        inputTokens: roll(9),
        error: roll(isGiant ? 2_000 : 25) === 0,
      }))
      return slice(offset++, spans, at === 0 ? root(10 + roll(90)) : {}, 1_000_000)
    })
    for (const one of slices) of.slices.set(refKey(one.ref), one)
    const width = isGiant ? 150 : 1
    for (let cut = 0; cut < slices.length; cut += width + roll(2 * width)) {
      const from = Math.max(0, cut - roll(2 * width))
      evidence.push(summary(traceId, slices.slice(from, cut + 3 * width)))
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
  const seen = { fenced: 0, notCounted: 0, crashed: 0, chained: 0, wroteChain: 0 }
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
          if (!isCalm && roll(100) === 0) isDead = true
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
    const chainOf = ({ prev }: Decision): readonly PackedSlice[] => {
      const link = prev === null ? undefined : log[prev]?.record
      return link?.kind === 'decision' ? [...chainOf(link), ...link.slices] : []
    }
    for (const decision of await group.counting()) {
      const { traceId } = decision
      const earlier = chainOf(decision)
      const keysOf = (slices: readonly PackedSlice[]) => slices.map(({ ref }) => refKey(ref))
      const before = last.get(traceId)
      expect(decision.revision, `seed ${seed}`).toBe((before?.revision ?? 0) + 1)
      if (before?.verdict === 'keep') expect(decision.verdict, `seed ${seed}`).toBe('keep')
      const keys = keysOf(decision.slices)
      const known = new Set([...keysOf(earlier), ...keys])
      expect(known.size, `seed ${seed}`).toBe(decision.sliceCount)
      for (const key of before === undefined
        ? []
        : keysOf([...chainOf(before), ...before.slices])) {
        expect(known.has(key), `seed ${seed}`).toBe(true)
      }
      const ordered = [...earlier].sort((a, b) => compareRefs(a.ref, b.ref))
      expect(rederive(decision, policy, ordered).differences, `seed ${seed}`).toEqual([])
      if (decision.prev !== null) seen.chained++
      const rows = written.get(traceId) ?? []
      if (decision.writePrev === true) {
        seen.wroteChain++
        rows.push(...keysOf(earlier))
      }
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
      const all = decision === undefined ? [] : [...chainOf(decision), ...decision.slices]
      expect(all.map(({ ref }) => refKey(ref)).sort()).toEqual([...of.slices.keys()].sort())
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
  expect(seen.chained).toBeGreaterThan(10)
  expect(seen.wroteChain).toBeGreaterThan(0)
}, 60_000)
