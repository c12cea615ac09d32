import { Assembler, factInterest, sliceReader } from '@winnow/assembler'
import { OutcomeMap } from '@winnow/model'
import { systemClock } from '@winnow/runtime'
import { ColumnFollower } from '@winnow/sampler'
import { openTraceBuffer } from '../open-stores.ts'
import { configuredPolicies } from './policy-files.ts'
import type { Stage, StageContext } from './stage.ts'

export async function assemblerStage(context: StageContext): Promise<Stage> {
  const { config, bus, topics, log, metrics } = context
  const buffer = await openTraceBuffer(config, 'assembler', context)
  const { policy, shadow } = configuredPolicies(config)
  // What the rules name is read with the facts: a rule cannot ask for what no slice recorded.
  const follower = new ColumnFollower({
    bus,
    control: topics.control,
    clock: systemClock,
    log,
    policies: shadow === undefined ? [policy] : [policy, shadow],
    waitMs: config.sampler.idleWait,
    retryAfterMs: config.sampler.retryAfter,
  })
  let { columns } = follower
  const outcomes = new OutcomeMap(config.outcomes)
  let wanted = factInterest(columns, outcomes)
  const assembler = new Assembler({
    bus,
    topics,
    config: config.assembler,
    clock: systemClock,
    log,
    metrics,
    readSlices: sliceReader(() => {
      if (follower.columns !== columns) {
        columns = follower.columns
        wanted = factInterest(columns, outcomes)
      }
      return wanted
    }, config.assembler.closeTimes),
    ...(buffer !== undefined && { buffer }),
  })
  return {
    component: {
      start: async () => {
        await follower.start()
        await assembler.start()
      },
      stop: async () => {
        await assembler.stop()
        await follower.stop()
      },
    },
    failed: Promise.race([assembler.failed, follower.failed]),
    measure: () => metrics.openTraces.set(assembler.openTraces),
    position: partition => assembler.position(partition),
    pending: (tenant, traceId) => assembler.pending(tenant, traceId),
    close: async () => buffer?.close(),
  }
}
