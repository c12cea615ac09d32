import { type Claim, type Decision, type PackedSlice, refKey, unpackSlices } from '@winnow/model'
import type { World } from './world.ts'

/** A decision that counts, with all that its chain leads to. */
export interface Counted {
  readonly partition: number
  readonly offset: number
  readonly decision: Decision
  /** The slices of its series so far, by ref: its own and those behind `prev`. */
  readonly slices: ReadonlyMap<string, PackedSlice>
  /** Keys of what the writer has to write for it. */
  readonly writes: ReadonlySet<string>
}

export interface CountedLog {
  readonly counted: readonly Counted[]
  /** The counting state behind each record. */
  readonly states: readonly { readonly claim: number; readonly next: number }[]
}

export const traceKeyOf = (tenant: string, traceId: string): string => `${traceId}/${tenant}`

/**
 * What counts on one partition of `decisions`, told by the rule alone and from the first record on: a
 * claim makes itself the current one; a decision counts under it and in its sequence. It shares no code
 * with the stages, because that code is what is being tried.
 */
export function countedLog(world: World, partition: number): CountedLog {
  const counted: Counted[] = []
  const states: { claim: number; next: number }[] = []
  const byOffset = new Map<number, Counted>()
  let claim = -1
  let next = 1
  for (const { offset, value, by } of world.log(world.specs.decisions.name, partition)) {
    const record: Claim | Decision = unpackSlices(JSON.parse(Buffer.from(value).toString()))
    if (record.kind === 'claim') {
      claim = offset
      next = 1
      world.count('claim')
    } else if (record.claim === claim && record.seq === next) {
      next++
      const one = withChain(world, partition, offset, record, byOffset)
      byOffset.set(offset, one)
      counted.push(one)
      if (record.prev !== null) world.count('decision with a chain')
      if (record.writePrev === true) world.count('decision that has its chain written')
    } else world.count('decision that does not count')
    if (by === undefined) throw new TypeError('a record without an author')
    states.push({ claim, next })
  }
  return { counted, states }
}

function withChain(
  world: World,
  partition: number,
  offset: number,
  decision: Decision,
  byOffset: ReadonlyMap<number, Counted>,
): Counted {
  const slices = new Map<string, PackedSlice>()
  const writes = new Set<string>()
  const { prev } = decision
  if (prev !== null) {
    const before = byOffset.get(prev)
    if (before === undefined) {
      world.violate('3', `decision ${partition}@${offset}: prev ${prev} is none that counts`)
    } else if (
      before.decision.traceId !== decision.traceId ||
      before.decision.tenant !== decision.tenant
    ) {
      world.violate('3', `decision ${partition}@${offset}: prev ${prev} is another trace's`)
    }
    for (const [key, slice] of before?.slices ?? []) {
      slices.set(key, slice)
      if (decision.writePrev === true) writes.add(key)
    }
  }
  for (const [at, slice] of decision.slices.entries()) {
    const key = refKey(slice.ref)
    if (slices.has(key)) {
      world.violate('3', `decision ${partition}@${offset}: slice ${key} is in its chain already`)
    }
    slices.set(key, slice)
    if (decision.write.includes(at)) writes.add(key)
  }
  if (decision.sliceCount !== slices.size) {
    const { sliceCount } = decision
    world.violate('5', `decision ${partition}@${offset}: ${sliceCount} slices, not ${slices.size}`)
  }
  return { partition, offset, decision, slices, writes }
}
