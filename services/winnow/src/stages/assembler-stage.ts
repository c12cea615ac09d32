import { Assembler, sliceReader } from '@winnow/assembler'
import { systemClock } from '@winnow/runtime'
import type { Stage, StageContext } from './stage.ts'

export function assemblerStage({ config, bus, topics, log, metrics }: StageContext): Stage {
  const assembler = new Assembler({
    bus,
    topics,
    config: config.assembler,
    clock: systemClock,
    log,
    metrics,
    readSlices: sliceReader(),
  })
  return {
    component: assembler,
    failed: assembler.failed,
    measure: () => metrics.openTraces.set(assembler.openTraces),
    position: partition => assembler.position(partition),
    pending: (tenant, traceId) => assembler.pending(tenant, traceId),
  }
}
