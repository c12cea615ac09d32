import { noOutcomeMap } from '@winnow/model'
import { systemClock } from '@winnow/runtime'
import { agentRequest, spansPerRequest } from '../../../packages/otlp/src/scan.bench.ts'
import { receiverConfigSchema } from './config.ts'
import { Gather } from './gather.ts'

/** Requests that wait for the bus at a time, as from so many connections. */
const connections = 8

/**
 * From bodies in memory to records that the bus has taken: scan, group, inspect, compose, headers.
 * The bus takes everything at once, so that only the receiver is measured.
 */
async function gatherBench(): Promise<number> {
  const requests = Array.from({ length: 16 }, (_, seed) => Buffer.from(agentRequest(seed + 1)))
  const gather = new Gather({
    outcomes: noOutcomeMap,
    append: async () => {},
    partitions: 12,
    config: receiverConfigSchema.parse({}),
    clock: systemClock,
    hashSeed: 7,
  })
  const nothing = (): void => {}
  const send = (bytes: Buffer): Promise<void> =>
    gather.add({
      tenant: 'default',
      bytes,
      rejections: [],
      charge: nothing,
      composed: nothing,
      settled: nothing,
    }).durable
  const runFor = async (ms: number): Promise<number> => {
    let sent = 0
    const from = performance.now()
    while (performance.now() - from < ms) {
      const some = Array.from(
        { length: connections },
        (_, n) => requests[(sent + n) % 16] as Buffer,
      )
      await Promise.all(some.map(send))
      sent += connections
    }
    return (sent * spansPerRequest * 1000) / (performance.now() - from)
  }
  await runFor(500)
  return runFor(1000)
}

export const benches = [
  {
    name: 'bodies to records, eight requests at a time',
    unit: 'spans/s',
    atLeast: 350_000,
    run: gatherBench,
  },
]
