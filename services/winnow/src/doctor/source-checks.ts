import { sourceTopicSpec, surveyKafka } from '@winnow/bus'
import { sourceAccess } from '../open-bus.ts'
import type { Config } from '../program-config.ts'
import { type Check, type Finding, failed, ok } from './finding.ts'
import { kafkaLimits } from './kafka-checks.ts'

/** The topics of others that a receiver takes from: whether they are there, and may be read. */
export function sourceChecks(config: Config): Check[] {
  if (config.kafkaSource.topics.length === 0) return []
  return [{ key: 'kafkaSource', look: () => lookAtSource(config) }]
}

async function lookAtSource(config: Config): Promise<Finding[]> {
  const { topics, group, brokers } = config.kafkaSource
  const survey = await surveyKafka({
    ...sourceAccess(config),
    specs: topics.map(sourceTopicSpec),
    groups: topics.map(topic => ({ topic, group })),
    limits: kafkaLimits,
    section: brokers === undefined ? 'kafka' : 'kafkaSource',
  })
  const key = 'kafkaSource.topics'
  const refused = survey.groups.filter(({ rights }) => rights?.includes('Read') === false)
  return [
    ...survey.topics.map(topic => {
      const { name } = topic.spec
      if (topic.kind === 'missing') {
        const remedy = 'correct the name, make the topic, or start what writes it'
        return failed(key, `the broker has no topic ${name}`, remedy)
      }
      const mayRead = topic.kind === 'found' && topic.rights.includes('Read')
      if (!mayRead) return failed(key, `no right to read ${name}`, readPlan)
      const { length } = survey.groups.filter(one => one.topic === name && one.members > 0)
      const taken = length === 0 ? 'no receiver takes from it now' : 'receivers take from it'
      return ok(key, `${name} has ${topic.partitions} partitions; ${taken}`)
    }),
    ...refused.map(({ groupId }) =>
      failed('kafkaSource.group', `no right to ${groupId}`, readPlan),
    ),
  ]
}

const readPlan = 'winnow topics --plan prints what to give'
