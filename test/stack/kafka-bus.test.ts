import type { Bus, TopicSpec } from '@winnow/bus'
import { busContract } from '../../packages/bus/src/bus.contract.ts'
import { adminOf, expire, openBus } from './kafka/clients.ts'
import { sharedKafka } from './kafka/shared.ts'

const broker = await sharedKafka()
const specsOf = new WeakMap<Bus, readonly TopicSpec[]>()

if (broker !== undefined) {
  const open = async (specs: readonly TopicSpec[]): Promise<Bus> => {
    const bus = await openBus(broker, specs)
    specsOf.set(bus, specs)
    return bus
  }

  busContract('KafkaBus', {
    open,
    second: bus => open(specsOf.get(bus) ?? []),
    reopen: bus => open(specsOf.get(bus) ?? []),
    expire: async (bus, topic, partition) => {
      const { end } = await bus.bounds(topic, partition)
      await expire(broker, topic, partition, end)
    },
    recreate: async (_bus, spec) => {
      await adminOf(broker, admin => admin.deleteTopics({ topics: [spec.name] }))
      return open([spec])
    },
    timeoutMs: 60_000,
  })
}
