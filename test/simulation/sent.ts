import type { SpanRef } from '@winnow/model'
import type { TracesData } from '@winnow/otlp'
import type { World } from './world.ts'

type Place = Pick<SpanRef, 'partition' | 'offset' | 'start'>

/** What was sent at a place of `spans`, also where retention has passed it. */
export function sentAt(world: World, { partition, offset, start }: Place): TracesData | undefined {
  const record = world.log(world.specs.spans.name, partition)[offset]
  return record?.slices?.find(slice => slice.start === start)?.data
}

export function spanIdsAt(world: World, place: Place): string[] {
  const spans = sentAt(world, place)?.resourceSpans[0]?.scopeSpans[0]?.spans ?? []
  return spans.map(({ spanId }) => spanId)
}
