import { systemClock } from '@winnow/runtime'
import { createSampler } from '@winnow/sampler'
import { openBlobStore } from '../open-stores.ts'
import { blobProbe } from '../probe.ts'
import { PolicyFiles } from './policy-files.ts'
import type { Stage, StageContext } from './stage.ts'

export async function samplerStage(context: StageContext): Promise<Stage> {
  const { config, bus, topics, log, metrics, health } = context
  const blobs = await openBlobStore(config, { mayWrite: true, log, metrics })
  // Without it a partition is taken up from the log, which takes longer.
  const blobsAnswer = blobProbe(blobs, { optional: true })
  health.register('blobs', () => blobsAnswer.read())
  const files = new PolicyFiles(config, context)
  const sampler = createSampler({
    bus,
    topics,
    group: 'sampler',
    policy: files.policy,
    shadow: files.shadow,
    clock: systemClock,
    log,
    metrics,
    health,
    blobs,
    config: { ...config.sampler, spansRetention: config.retention.spans },
  })
  files.tell(sampler)
  health.register('policy files', () => {
    const { detail } = files
    return detail === undefined ? undefined : { ready: true, detail }
  })
  return {
    component: sampler,
    failed: sampler.failed,
    position: partition => sampler.position(partition),
    close: async () => {
      files.close()
      await blobs.close()
    },
  }
}
