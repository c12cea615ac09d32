import { createReceiver } from '@winnow/receiver'
import { systemClock } from '@winnow/runtime'
import { namesOf } from '../config/names-config.ts'
import { redactorsOf } from '../config/privacy-config.ts'
import { openKafkaSource } from '../open-bus.ts'
import type { Stage, StageContext } from './stage.ts'

export async function receiverStage(context: StageContext): Promise<Stage> {
  const { config, bus, topics, keys, tls, log, metrics, health, lagging } = context
  const source = await openKafkaSource(config, log)
  const redactors = redactorsOf(config, log)
  const names = namesOf(config, { metrics, log })
  const receiver = createReceiver({
    bus,
    topics,
    listen: { grpc: config.otlpGrpc, http: config.otlpHttp },
    keys,
    tls,
    outcomes: config.outcomes,
    ...(redactors !== undefined && { redactors }),
    ...(names !== undefined && { names }),
    // The file bus gathers by itself while the disk is busy: a timer would only add latency.
    config: { ...config.receiver, ...(config.bus === 'file' && { linger: 0 }) },
    clock: systemClock,
    log,
    metrics,
    health,
    ...(lagging !== undefined && { lagging }),
    ...(source !== undefined && { kafkaSource: { source, config: config.kafkaSource } }),
  })
  metrics.bytesInFlightMax.set(config.receiver.inflightBytesMax)
  return {
    component: receiver,
    measure: () => metrics.bytesInFlight.set(receiver.bytesInFlight),
    failed: receiver.failed,
    appendedBytes: () => receiver.appendedBytes,
    addresses: () => ({ otlpGrpc: receiver.grpcAddress, otlpHttp: receiver.httpAddress }),
    close: async () => names?.close(),
  }
}
