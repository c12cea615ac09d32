import { Assembler, factInterest, sliceReader } from '@winnow/assembler'
import { OutcomeMap } from '@winnow/model'
import { systemClock } from '@winnow/runtime'
import { openTraceBuffer } from '../open-stores.ts'
import type { Stage, StageContext } from './stage.ts'

export async function assemblerStage(context: StageContext): Promise<Stage> {
  const { config, bus, topics, log, metrics } = context
  const buffer = await openTraceBuffer(config, 'assembler', context)
  const wanted = factInterest([], new OutcomeMap(config.outcomes))
  const assembler = new Assembler({
    bus,
    topics,
    config: config.assembler,
    clock: systemClock,
    log,
    metrics,
    readSlices: sliceReader(() => wanted),
    ...(buffer !== undefined && { buffer }),
  })
  return {
    component: assembler,
    failed: assembler.failed,
    measure: () => metrics.openTraces.set(assembler.openTraces),
    position: partition => assembler.position(partition),
    pending: (tenant, traceId) => assembler.pending(tenant, traceId),
    close: async () => buffer?.close(),
  }
}
