import { readFileSync } from 'node:fs'
import { PipelineError, systemClock } from '@winnow/runtime'
import { createSampler, defaultPolicy, type Policy, parsePolicy } from '@winnow/sampler'
import { openBlobStore } from '../open-stores.ts'
import { blobProbe } from '../probe.ts'
import type { Config } from '../program-config.ts'
import type { Stage, StageContext } from './stage.ts'

export async function samplerStage(context: StageContext): Promise<Stage> {
  const { config, bus, topics, log, metrics, health } = context
  const blobs = await openBlobStore(config, { mayWrite: true, log, metrics })
  // Without it a partition is taken up from the log, which takes longer.
  const blobsAnswer = blobProbe(blobs, { optional: true })
  health.register('blobs', () => blobsAnswer.read())
  const sampler = createSampler({
    bus,
    topics,
    group: 'sampler',
    policy: policyOf(config),
    clock: systemClock,
    log,
    metrics,
    health,
    blobs,
    config: { ...config.sampler, spansRetention: config.retention.spans },
  })
  return {
    component: sampler,
    failed: sampler.failed,
    position: partition => sampler.position(partition),
    close: () => blobs.close(),
  }
}

function policyOf({ policy }: Config): Policy {
  if (policy === undefined) return defaultPolicy
  let text: string
  try {
    text = readFileSync(policy, 'utf8')
  } catch (cause) {
    const reason = (cause as Error).message
    throw new PipelineError('CONFIG_INVALID', `policy: cannot read ${policy}: ${reason}`, { cause })
  }
  return parsePolicy(text, policy)
}
