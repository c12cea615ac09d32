import { compareRefs, type PackedSlice } from '@winnow/model'
import { type CompiledPolicy, compilePolicy, rederive } from '@winnow/sampler'
import { type OracleVerdict, oracle, traceKey } from '@winnow/testing'
import type { Counted } from './counted.ts'
import { policies, policyOf } from './policies.ts'
import { sentAt } from './sent.ts'
import { shortId } from './story.ts'
import type { World } from './world.ts'

const indexLifeMs = 72 * 3_600_000

/** [3]-[6] of every trace, revision by revision. */
export function checkDecisions(
  world: World,
  byTrace: ReadonlyMap<string, readonly Counted[]>,
): void {
  for (const revisions of byTrace.values()) {
    let before: Counted | undefined
    let known = new Set<string>()
    let written = new Set<string>()
    for (const one of revisions) {
      const isFirst = checkSeries(world, one, before)
      const wasKept = before?.decision.verdict === 'keep' && !isOutlived(one, before)
      // A series that was full hands its verdict to the next one; a trace whose index entry died is a new one, and of
      // a decision that is gone the keep is all that is left.
      const isContinued = one.decision.seriesFrom !== undefined
      if (isFirst && !isContinued) {
        before = undefined
        known = new Set()
        written = new Set()
      }
      checkUnion(world, one, before, isFirst)
      checkRederived(world, one)
      checkOracle(world, one, wasKept)
      checkWrites(world, one, written)
      countEvents(world, one, before)
      for (const ref of one.slices.keys()) known.add(ref)
      before = one
    }
    if (before !== undefined && !world.isLong) checkComplete(world, before, known)
  }
}

const nameOf = ({ decision, partition, offset }: Counted): string =>
  `${decision.tenant}/${shortId(decision.traceId)} r${decision.revision} (${partition}@${offset})`

/** [3] One chain of revisions a series. True where a series begins. */
function checkSeries(world: World, one: Counted, before: Counted | undefined): boolean {
  const { decision } = one
  if (before === undefined || decision.revision === 1) {
    if (decision.revision !== 1) world.violate('3', `${nameOf(one)} is the first of its trace`)
    if (before === undefined) return true
    if (isOutlived(one, before)) world.count('series after the life of the index')
    else if (decision.seriesFrom !== undefined) world.count('series over its limit')
    else if (wasSaidGone(world, before)) world.count('series after a decision that was gone')
    else world.violate('3', `${nameOf(one)} begins anew after ${nameOf(before)}`)
    return true
  }
  if (decision.revision !== before.decision.revision + 1) {
    world.violate('3', `${nameOf(one)} follows ${nameOf(before)}`)
  }
  if (decision.seriesAtMs !== before.decision.seriesAtMs) {
    world.violate('3', `${nameOf(one)}: its series began at another time than ${nameOf(before)}`)
  }
  return false
}

function isOutlived({ decision }: Counted, before: Counted): boolean {
  return decision.decidedAtMs - before.decision.decidedAtMs > indexLifeMs
}

/** A sampler that was days behind said that retention had passed the decision it wanted to go on from. */
function wasSaidGone(world: World, { partition, offset }: Counted): boolean {
  return world.said.some(({ kind, fields }) => {
    const said = fields as Partial<Record<string, number>>
    const isIt = said.partition === partition && said.offset === offset
    return isIt && kind === 'sampler.decision_gone'
  })
}

/** [4], [5] A revision forgets nothing, and never takes a keep back. */
function checkUnion(
  world: World,
  one: Counted,
  before: Counted | undefined,
  isFirst: boolean,
): void {
  if (before === undefined) return
  if (before.decision.verdict === 'keep' && one.decision.verdict !== 'keep') {
    world.violate('4', `${nameOf(one)} drops what ${nameOf(before)} kept`)
  }
  const forgotten = isFirst ? [] : [...before.slices.keys()].filter(ref => !one.slices.has(ref))
  if (forgotten.length > 0) world.violate('5', `${nameOf(one)} forgets slices ${forgotten}`)
  for (const key of ['evaluations', 'requests', 'retractions'] as const) {
    const ids = new Set((one.decision[key] ?? []).map(({ id }) => id))
    const gone = (before.decision[key] ?? []).filter(({ id }) => !ids.has(id))
    if (gone.length > 0) world.violate('5', `${nameOf(one)} forgets ${key}`)
  }
}

const compiled = new Map<string, CompiledPolicy>(
  policies.map(({ policy }) => [policy.version, compilePolicy(policy, () => {})]),
)

/** [5] From its own record. */
function checkRederived(world: World, one: Counted): void {
  const policy = compiled.get(one.decision.policyVersion)
  if (policy === undefined) {
    world.violate('5', `${nameOf(one)} names policy ${one.decision.policyVersion}`)
    return
  }
  const own = new Set(one.decision.slices)
  const earlier = [...one.slices.values()].filter(slice => !own.has(slice))
  const { agrees, differences } = rederive(one.decision, policy, earlier)
  if (!agrees) world.violate('5', `${nameOf(one)} is not derived again: ${differences.join('; ')}`)
}

const byRef = (a: PackedSlice, b: PackedSlice): number => compareRefs(a.ref, b.ref)

/** [5], [6] What the bytes themselves say, by code that the stages do not share. */
function checkOracle(world: World, one: Counted, wasKept: boolean): void {
  const { decision } = one
  const verdict = oracleOn(world, one)
  if (verdict === undefined) return
  const own = verdict.awaiting
    ? verdict.probability >= 1 || decision.requests.length > 0
    : verdict.keep
  const expected = own || wasKept ? 'keep' : 'drop'
  world.count(`oracle says ${expected}`)
  if (decision.verdict !== expected) {
    const why = verdict.matched.join(', ')
    world.violate('6', `${nameOf(one)} is ${decision.verdict}, the oracle says ${expected}: ${why}`)
  }
  const facts = {
    spanCount: [decision.spanCount, verdict.spans.length],
    duplicateSpans: [decision.duplicateSpans, verdict.duplicateSpans],
    rootSpanId: [decision.rootSpanId, verdict.root?.spanId ?? null],
    durationMs: [decision.durationMs, verdict.durationMs],
    inputTokens: [decision.inputTokens, tokensOf(verdict)],
  }
  for (const [name, [got, wanted]] of Object.entries(facts)) {
    if (got !== wanted) {
      world.violate('5', `${nameOf(one)}: ${name} is ${got}, of the bytes it is ${wanted}`)
    }
  }
}

function oracleOn(world: World, { decision, slices }: Counted): OracleVerdict | undefined {
  const { tenant, traceId } = decision
  const policy = policyOf(decision.policyVersion)?.oracle
  if (policy === undefined) return undefined
  const requests = [...slices.values()]
    .sort(byRef)
    .flatMap(({ ref }) => sentAt(world, ref) ?? [])
    .map(data => ({ tenant, data }))
  const { threshold } = decision.rules.find(({ name }) => name === 'slow') ?? {}
  const thresholds = typeof threshold === 'number' ? [threshold] : []
  const verdicts = oracle({
    requests,
    evaluations: decision.evaluations.map(evaluation => ({ ...evaluation, tenant, traceId })),
    rescues: decision.requests.map(() => ({ tenant, traceId })),
    policy,
    slowThresholdsMs: () => thresholds,
    nowMs: decision.decidedAtMs,
  })
  return verdicts.get(traceKey(tenant, traceId))
}

function tokensOf({ spans }: OracleVerdict): number {
  let sum = 0
  for (const { span } of spans) {
    const value = span.attributes.find(({ key }) => key === 'gen_ai.usage.input_tokens')?.value
    if (value !== undefined && 'intValue' in value) sum += Number(value.intValue)
  }
  return sum
}

/** Each slice of a kept series is written with exactly one of its revisions. */
function checkWrites(world: World, one: Counted, written: Set<string>): void {
  const { decision, slices, writes } = one
  const isWritten = decision.verdict === 'keep' && decision.gone !== true
  const due = new Set(isWritten ? [...slices.keys()].filter(ref => !written.has(ref)) : [])
  const [missing] = due.difference(writes)
  const [undue] = writes.difference(due)
  if (missing !== undefined) world.violate('rows', `${nameOf(one)} does not write ${missing}`)
  if (undue !== undefined) world.violate('rows', `${nameOf(one)} writes ${undue}, which is not due`)
  for (const ref of writes) written.add(ref)
  // The bytes of a keep that came too late have left the bus: nobody will ever write them.
  if (decision.gone === true) for (const ref of slices.keys()) written.add(ref)
}

/** The last revision knows everything that was sent of its trace. */
function checkComplete(world: World, last: Counted, known: ReadonlySet<string>): void {
  const { tenant, traceId } = last.decision
  for (let partition = 0; partition < world.partitions; partition++) {
    for (const { offset, slices = [] } of world.log(world.specs.spans.name, partition)) {
      for (const slice of slices) {
        if (slice.traceId !== traceId || slice.tenant !== tenant) continue
        const ref = `${partition}:${offset}:${slice.start}`
        if (!known.has(ref)) world.violate('5', `${nameOf(last)} does not know slice ${ref}`)
      }
    }
  }
}

function countEvents(world: World, { decision }: Counted, before: Counted | undefined): void {
  world.count(`decided: ${decision.cause}`)
  if (decision.closeReason !== null) world.count(`closed: ${decision.closeReason}`)
  if (decision.sliceCount === 0) world.count('decision without slices')
  else if (before?.decision.sliceCount === 0) world.count('evaluation met its trace')
  if (before?.decision.verdict === 'drop' && decision.verdict === 'keep') world.count('rescue')
  if (decision.inherited === true) world.count('keep inherited')
  if (decision.duplicateSpans > 0) world.count('span in two slices')
  if (decision.gone === true) world.count('keep of bytes that are gone')
  if (before !== undefined && before.decision.policyVersion !== decision.policyVersion) {
    world.count('revision under another policy')
  }
  if (before !== undefined && before.decision.claim !== decision.claim) {
    world.count('revision under another claim')
  }
}
