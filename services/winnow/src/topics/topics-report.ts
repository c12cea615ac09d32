import {
  defaultKafkaLimits,
  type KafkaSurvey,
  type TopicDifference,
  type TopicSurvey,
  topicDifferences,
} from '@winnow/bus'

export interface TopicReport {
  readonly name: string
  /** `unlike`: only in what does no harm. `missing`: will be made. `refused`: no stage starts with it. */
  readonly state: 'same' | 'unlike' | 'differs' | 'missing' | 'refused'
  readonly says: string
  /** Changes when the topic is deleted and made again. */
  readonly logId?: string
  readonly partitions?: number
  readonly copies?: number
  readonly differences: readonly Omit<TopicDifference, 'topic'>[]
}

export interface TopicsReport {
  readonly v: 1
  /** Whether the stages start with what is there. */
  readonly fits: boolean
  readonly says: string
  readonly topics: readonly TopicReport[]
}

/** What the cluster has beside what the configuration wants. `replication`: of the configuration. */
export function topicsReport(survey: KafkaSurvey, replication: number | undefined): TopicsReport {
  const copies = replication ?? Math.min(3, survey.brokers)
  const topics = survey.topics.map(topic => reportOf(topic, copies, survey.mayCreate))
  const wrong = topics.filter(({ state }) => state === 'differs' || state === 'refused').length
  const missing = topics.filter(({ state }) => state === 'missing').length
  return { v: 1, fits: wrong === 0, says: verdict(topics.length, wrong, missing), topics }
}

function verdict(all: number, wrong: number, missing: number): string {
  if (wrong > 0) return `${wrong} of ${all} topics are not as the configuration wants them`
  if (missing > 0)
    return `${missing} of ${all} topics are missing; the first stage to start makes them`
  return `${all} topics are as the configuration wants them`
}

function reportOf(
  topic: TopicSurvey,
  copies: number,
  mayCreate: KafkaSurvey['mayCreate'],
): TopicReport {
  const { name } = topic.spec
  switch (topic.kind) {
    case 'missing':
      return mayCreate === true
        ? { name, state: 'missing', says: 'missing: will be made', differences: [] }
        : { name, state: 'refused', says: `missing: ${mayCreate?.message}`, differences: [] }
    case 'hidden':
      return {
        name,
        state: 'refused',
        says: 'this user may not describe it, if it is there: `winnow topics --plan` prints the rights to give',
        differences: [],
      }
    case 'found': {
      const differences = topicDifferences(topic, defaultKafkaLimits, copies).map(
        ({ topic: _, ...difference }) => difference,
      )
      const { partitions, logId } = topic
      return {
        name,
        state: stateOf(differences),
        says: `${partitions} partitions, ${topic.copies === 1 ? '1 copy' : `${topic.copies} copies`}, log id ${logId}${topic.settings === undefined ? '; this user may not read its settings' : ''}`,
        logId,
        partitions,
        copies: topic.copies,
        differences,
      }
    }
  }
}

function stateOf(differences: readonly { readonly matters: boolean }[]): TopicReport['state'] {
  if (differences.length === 0) return 'same'
  return differences.some(({ matters }) => matters) ? 'differs' : 'unlike'
}
