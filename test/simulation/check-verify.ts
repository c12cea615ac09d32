import type { Bus } from '@winnow/bus'
import { type LedgerReport, verifyTopics } from '@winnow/query'
import type { SimulatedGroups } from './groups.ts'
import type { World } from './world.ts'

/**
 * `winnow verify` on the topics as they are, in the midst of faults or at rest: what it says must be so
 * at any moment, because nobody stops a pipeline to count its spans.
 */
export async function checkVerify(world: World, { slots }: SimulatedGroups): Promise<void> {
  const { spans, evidence, decisions } = world.specs
  const topics = { spans: spans.name, evidence: evidence.name, decisions: decisions.name }
  const committed: Bus['committed'] = async (topic, group, partition) =>
    slots.find(slot => slot.topic === topic && slot.group === group && slot.partition === partition)
      ?.position
  const bus = new Proxy<Bus>(world.bus, {
    get: (target, name) => {
      if (name === 'committed') return committed
      // Nothing comes while it reads: to wait would take real time.
      if (name === 'read') {
        return (topic: string, partition: number, from: number, bytesMax: number) =>
          target.read(topic, partition, from, bytesMax, 0)
      }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const report = await verifyTopics({ bus, topics, slicesMax: 100_000 })
  world.count(world.isCalm ? 'verified at rest' : 'verified in the midst')
  world.say?.(() => `verify: ${JSON.stringify(told(report))}`)
  const isSettled = !world.isCalm || report.pending === 0
  if (report.balanced && report.problems === 0 && isSettled) return
  world.violate(
    '2',
    `verify: ${JSON.stringify(told(report))} ${JSON.stringify(report.offending[0])}`,
  )
}

function told({ received, duplicate, kept, dropped, pending, ...rest }: LedgerReport) {
  const { lostToRetention, missing, doubled, imbalance, balanced, problems } = rest
  const sums = { received, duplicate, kept, dropped, pending, lostToRetention }
  return { ...sums, missing, doubled, imbalance, balanced, problems }
}
