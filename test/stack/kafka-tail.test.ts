// Another thread's view of a KafkaBus with tails: the whole contract, and that what was read here is at hand there.
import { randomUUID } from 'node:crypto'
import { MessageChannel } from 'node:worker_threads'
import { type Bus, type KafkaBus, RemoteBus, serveBus, type TopicSpec } from '@winnow/bus'
import { expect, onTestFinished, test } from 'vitest'
import { busContract } from '../../packages/bus/src/bus.contract.ts'
import { adminOf, expire, openBus } from './kafka/clients.ts'
import { sharedKafka } from './kafka/shared.ts'

const broker = await sharedKafka()
const ringBytes = 16 * 1024 * 1024

interface Served {
  readonly inner: KafkaBus
  readonly bus: RemoteBus
  /** Kinds of the requests so far. */
  readonly requests: string[]
}

if (broker !== undefined) {
  const known = new WeakMap<
    Bus,
    { readonly served: Served; readonly specs: readonly TopicSpec[] }
  >()

  const open = async (specs: readonly TopicSpec[]): Promise<Served> => {
    const tails = Object.fromEntries(specs.map(({ name }) => [name, ringBytes]))
    const inner = await openBus(broker, specs, { tails })
    onTestFinished(() => inner.close())
    const { port1, port2 } = new MessageChannel()
    const requests: string[] = []
    port1.on('message', ({ kind }) => requests.push(kind))
    serveBus(port1, inner)
    const bus = new RemoteBus(port2)
    await bus.logId(specs[0]?.name ?? '')
    const served = { inner, bus, requests }
    known.set(bus, { served, specs })
    return served
  }

  const again = async (bus: Bus): Promise<Bus> => (await open(known.get(bus)?.specs ?? [])).bus

  busContract('RemoteBus of a KafkaBus with tails', {
    open: async specs => (await open(specs)).bus,
    second: again,
    reopen: again,
    expire: async (bus, topic, partition) => {
      const { end } = await bus.bounds(topic, partition)
      await expire(broker, topic, partition, end)
    },
    recreate: async (_bus, spec) => {
      await adminOf(broker, admin => admin.deleteTopics({ topics: [spec.name] }))
      return (await open([spec])).bus
    },
    timeoutMs: 60_000,
  })

  const opened = async () => {
    const topic = `t-${randomUUID()}`
    const served = await open([
      { name: topic, partitions: 2, retentionMs: 3_600_000, keyed: false },
    ])
    onTestFinished(() => served.bus.close())
    return { ...served, topic }
  }
  const values = ['alpha', 'beta', 'gamma'].map(text => ({
    value: Buffer.from(text),
    header: Buffer.from('h'),
  }))
  const ranges = [1, 0].map(offset => ({ offset, start: 0, length: 4 }))

  test('what a reader of this thread has met, another thread has without asking', async () => {
    const { inner, bus, requests, topic } = await opened()
    await inner.append(topic, 1, values)
    expect(bus.heads(topic, 1, 0)).toEqual([])
    await inner.read(topic, 1, 0, 1, 5_000)
    requests.length = 0
    const reads = await bus.fetchRanges(topic, 1, ranges)
    expect(reads.map(read => `${Buffer.from(read as Uint8Array)}`)).toEqual(['beta', 'alph'])
    expect(bus.heads(topic, 1, 1).map(head => [head.offset, head.valueBytes])).toEqual([
      [1, 4],
      [2, 5],
    ])
    expect(requests).toEqual([])
  }, 60_000)

  test('and what nobody has met yet is asked for', async () => {
    const { inner, bus, requests, topic } = await opened()
    await inner.append(topic, 1, values)
    const reads = await bus.fetchRanges(topic, 1, ranges)
    expect(reads.map(read => `${Buffer.from(read as Uint8Array)}`)).toEqual(['beta', 'alph'])
    expect(requests).toContain('fetchRanges')
    expect(await bus.bounds(topic, 1)).toEqual({ first: 0, end: 3 })
  }, 60_000)
}
