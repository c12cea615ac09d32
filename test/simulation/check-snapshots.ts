import { readIndexSnapshot } from '@winnow/storage'
import { type Counted, type CountedLog, traceKeyOf } from './counted.ts'
import type { World } from './world.ts'

/**
 * [3] Every snapshot there is, a former owner's too, is a fold of what counts before its offset: whoever
 * goes on from it knows what a reader of the whole log knows.
 */
export async function checkSnapshots(world: World, logs: readonly CountedLog[]): Promise<void> {
  for await (const { key } of world.blobs.list('index/')) {
    const offsets = new Map<string, number>()
    const head = await readIndexSnapshot(world.blobs, key, ({ tenant, id, offset }) => {
      const words = Array.from(id, word => word.toString(16).padStart(8, '0'))
      offsets.set(traceKeyOf(tenant, words.join('')), offset)
    })
    if (head === undefined) continue
    world.count('snapshot at rest')
    const { counted = [], states = [] } = logs[head.partition] ?? {}
    const { claim, next } = head.counting
    const state = states[head.nextOffset - 1]
    if (state?.claim !== claim || state?.next !== next) {
      const said = JSON.stringify(head.counting)
      world.violate('3', `${key} counts from ${said}, it is ${JSON.stringify(state)}`)
    }
    const last = new Map<string, Counted>()
    for (const one of counted) {
      if (one.offset >= head.nextOffset) break
      last.set(traceKeyOf(one.decision.tenant, one.decision.traceId), one)
    }
    for (const [trace, { offset }] of last) {
      const held = offsets.get(trace)
      // An entry may have moved on meanwhile, and is folded once more; one that is older lacks a decision.
      const isHeld = held !== undefined && (held === offset || held >= head.nextOffset)
      const isForgotten = held === undefined && world.isLong
      if (!isHeld && !isForgotten && !isRepeat(world, head.partition, offset, held)) {
        world.violate('3', `${key} has ${trace} at ${held}, its last decision is ${offset}`)
      }
    }
  }
}

/**
 * Where retention ends between a decision and its repeat, whoever begins there without a state takes the
 * repeat: it is the same decision, and what counts behind it is the same.
 */
function isRepeat(world: World, partition: number, offset: number, held = -1): boolean {
  const topic = world.specs.decisions.name
  const log = world.log(topic, partition)
  const [original, repeat] = [log[offset]?.value, log[held]?.value]
  if (original === undefined || repeat === undefined) return false
  return world.first(topic, partition) > offset && Buffer.compare(original, repeat) === 0
}
