import { type Evidence, refKey, unpackSlices } from '@winnow/model'
import { checkDecisions } from './check-decisions.ts'
import { checkSegments } from './check-segments.ts'
import { checkSnapshots } from './check-snapshots.ts'
import { checkVerify } from './check-verify.ts'
import { type Counted, countedLog, traceKeyOf } from './counted.ts'
import type { SimulatedGroups } from './groups.ts'
import { spanIdsAt } from './sent.ts'
import { shortId } from './story.ts'
import type { World } from './world.ts'

/**
 * The invariants of the design at rest, from the logs and stores alone. What the stages remember is not
 * asked.
 */
export async function checkRun(world: World, groups: SimulatedGroups): Promise<void> {
  await checkLiveness(world, groups)
  const logs = Array.from({ length: world.partitions }, (_, p) => countedLog(world, p))
  const byTrace = Map.groupBy(
    logs.flatMap(({ counted }) => counted),
    ({ decision }) => traceKeyOf(decision.tenant, decision.traceId),
  )
  await checkVerify(world, groups)
  const lost = lostBySaying(world)
  checkConservation(world, byTrace, lost)
  checkEvidence(world, byTrace, lost)
  checkDecisions(world, byTrace)
  for (const [partition, log] of logs.entries()) await checkSegments(world, partition, log)
  await checkSnapshots(world, logs)
  await checkHot(world, byTrace)
}

async function checkLiveness(world: World, { slots }: SimulatedGroups): Promise<void> {
  for (const { group, topic, partition, position } of slots) {
    const { first, end } = await world.bus.bounds(topic, partition)
    if ((position?.offset ?? first) !== end) {
      world.violate('live', `${group}/${partition} has committed ${position?.offset} of ${end}`)
    }
  }
}

/** [2] Every slice is in the refs of exactly one trace's decisions, or retention passed it and it was said. */
function checkConservation(
  world: World,
  byTrace: ReadonlyMap<string, readonly Counted[]>,
  lost: ReadonlySet<string>,
): void {
  const holders = new Map<string, Set<string>>()
  for (const [key, revisions] of byTrace) {
    for (const { slices } of revisions) {
      for (const ref of slices.keys()) {
        const own = holders.get(ref) ?? new Set()
        holders.set(ref, own.add(key))
      }
    }
  }
  const sent = new Set<string>()
  for (let partition = 0; partition < world.partitions; partition++) {
    for (const { offset, slices = [] } of world.log(world.specs.spans.name, partition)) {
      for (const slice of slices) {
        world.count('slice')
        const ref = `${partition}:${offset}:${slice.start}`
        const key = traceKeyOf(slice.tenant, slice.traceId)
        sent.add(ref)
        const held = holders.get(ref)
        const name = `slice ${ref} of ${slice.tenant}/${shortId(slice.traceId)}`
        if (held === undefined) {
          if (lost.has(ref)) world.count('slice lost to retention')
          else world.violate('2', `${name} is in no decision that counts`)
        } else if (held.size > 1 || !held.has(key)) {
          world.violate('2', `${name} is in decisions on ${[...held].join(' and ')}`)
        }
        const ours = byTrace
          .get(key)
          ?.findLast(({ slices: own }) => own.has(ref))
          ?.slices.get(ref)
        const count = slice.data.resourceSpans[0]?.scopeSpans[0]?.spans.length
        if (
          ours !== undefined &&
          (ours.ref.length !== slice.length || ours.ref.spanCount !== count)
        ) {
          world.violate('2', `${name} is cut otherwise in its decision`)
        }
      }
    }
  }
  for (const ref of holders.keys()) {
    if (!sent.has(ref)) world.violate('2', `slice ${ref} of a decision was never sent`)
  }
}

/** Refs of slices that lie in a gap which a stage has reported. */
function lostBySaying(world: World): Set<string> {
  const lost = new Set<string>()
  const { spans, evidence } = world.specs
  for (const { kind, fields } of world.said) {
    const { partition = 0, from = 0, to = 0 } = fields as Partial<Record<string, number>>
    const { topic } = fields as { readonly topic?: string }
    const isLate = (name: string): boolean => kind === 'group begins late' && topic === name
    if (kind === 'assembler.retention_gap' || isLate(spans.name)) {
      for (const { offset, slices = [] } of world.log(spans.name, partition).slice(from, to)) {
        for (const { start } of slices) lost.add(`${partition}:${offset}:${start}`)
      }
    }
    if (kind === 'sampler.evidence_lost' || isLate(evidence.name)) {
      for (const { value } of world.log(evidence.name, partition).slice(from, to)) {
        const record: Evidence = unpackSlices(JSON.parse(Buffer.from(value).toString()))
        if (record.kind !== 'summary') lost.add(record.id)
        else for (const { ref } of record.slices) lost.add(refKey(ref))
      }
    }
  }
  return lost
}

/** [6] Every evaluation, retraction and request was applied to its trace, once, whatever else became of it. */
function checkEvidence(
  world: World,
  byTrace: ReadonlyMap<string, readonly Counted[]>,
  lost: ReadonlySet<string>,
): void {
  for (let partition = 0; partition < world.partitions; partition++) {
    for (const { value } of world.log(world.specs.evidence.name, partition)) {
      const record: Evidence = unpackSlices(JSON.parse(Buffer.from(value).toString()))
      if (record.kind === 'summary') continue
      const { kind, tenant, traceId, id } = record
      const revisions = byTrace.get(traceKeyOf(tenant, traceId)) ?? []
      const knows = ({ decision }: Counted): boolean =>
        (decision[listOf[kind]] ?? []).some(known => known.id === id)
      const isApplied = world.isLong ? revisions.some(knows) : revisions.slice(-1).some(knows)
      if (!isApplied && !lost.has(id)) {
        world.violate('6', `${kind} ${id} of ${tenant}/${shortId(traceId)} is in no last decision`)
      }
    }
  }
}

const listOf = {
  evaluation: 'evaluations',
  retraction: 'retractions',
  request: 'requests',
} as const

const hotLifeMs = 7 * 86_400_000

/** Hot shows the last keep of every trace, with a row for each of its spans. */
async function checkHot(
  world: World,
  byTrace: ReadonlyMap<string, readonly Counted[]>,
): Promise<void> {
  for (const revisions of byTrace.values()) {
    const isStored = ({ decision }: Counted): boolean =>
      decision.verdict === 'keep' && decision.sliceCount > 0 && decision.gone !== true
    const last = revisions.findLast(isStored)
    const { tenant, traceId } = (revisions[0] as Counted).decision
    const name = `${tenant}/${shortId(traceId)}`
    const held = await world.hot.get(tenant, traceId)
    const isExpired = last !== undefined && last.decision.seriesAtMs + hotLifeMs < world.nowMs
    if (isExpired) continue
    if (held?.offset !== last?.offset) {
      world.violate('hot', `${name}: hot shows ${held?.offset}, the last keep is ${last?.offset}`)
    }
    if (last === undefined || world.isLong) continue
    const kept = revisions.filter(isStored).flatMap(({ slices }) => [...slices.values()])
    const wanted = new Set(kept.flatMap(({ ref }) => spanIdsAt(world, ref)))
    const got = new Set(held?.spans.map(({ span_id }) => span_id))
    if (wanted.symmetricDifference(got).size > 0) {
      world.violate('hot', `${name}: ${got.size} span rows for ${wanted.size} spans`)
    }
  }
}
