import {
  defaultKafkaLimits,
  KafkaBus,
  type KafkaRight,
  type KafkaSurvey,
  surveyKafka,
  type TopicSpec,
  topicDifferences,
} from '@winnow/bus'
import { formats } from '@winnow/model'
import { type Log, PipelineError, systemClock } from '@winnow/runtime'
import { kafkaOptions } from '../open-bus.ts'
import type { Config } from '../program-config.ts'
import type { StageName } from '../stages/stage.ts'
import { groupsIn, specsOf, topicPlan } from '../topics/topic-plan.ts'
import { clockFinding, clockOffsetMs } from './clock-check.ts'
import { type Finding, failed, ok, warning } from './finding.ts'

/** Who asks on behalf of a person gives up sooner than who starts a fleet. */
export const kafkaLimits = {
  connectionWaitMs: 3_000,
  requestWaitMs: 5_000,
  answerWaitMs: 5_000,
  openWaitMs: 1,
}

const readPlan = 'winnow topics --plan prints what to give'

export function askKafka(config: Config, log: Log): Promise<KafkaSurvey> {
  const specs = specsOf(config)
  const groups = groupsIn(specs).map(({ id, topic }) => ({
    topic,
    group: id.slice(topic.length + 1),
  }))
  return surveyKafka({
    ...kafkaOptions(config, Object.values(specs), log),
    limits: kafkaLimits,
    groups,
  })
}

/** What a cluster was found to be, a line each: reach, topics, rights, groups. */
export function kafkaFindings(survey: KafkaSurvey, config: Config): Finding[] {
  const { brokers, latencyMs } = survey
  return [
    ok(
      'bus',
      `${config.bus}: ${brokers === 1 ? '1 broker answers' : `${brokers} brokers, one answers`} in ${latencyMs.toFixed(1)} ms`,
    ),
    ...topicFindings(survey, config),
    ...rightFindings(survey, config),
    groupFinding(survey),
  ]
}

function topicFindings(survey: KafkaSurvey, config: Config): Finding[] {
  const { topics, mayCreate } = survey
  const copies = config.topics.replication ?? Math.min(3, survey.brokers)
  const there = topics.filter(topic => topic.kind === 'found')
  const missing = topics.filter(topic => topic.kind === 'missing').map(({ spec }) => spec.name)
  const hidden = topics.filter(topic => topic.kind === 'hidden').map(({ spec }) => spec.name)
  const findings = there
    .flatMap(topic => topicDifferences(topic, defaultKafkaLimits, copies))
    .map(({ topic, what, found, wanted, remedy, matters }) =>
      (matters ? failed : warning)(
        'topics',
        `${topic} has ${what} ${found}, wanted ${wanted}`,
        remedy,
      ),
    )
  const unled = there.filter(topic => !topic.led).map(({ spec }) => spec.name)
  if (unled.length > 0) {
    const words = `a partition without a leader in ${unled.join(', ')}`
    findings.push(failed('topics', words, 'start the brokers that hold it'))
  }
  if (hidden.length > 0) {
    findings.push(failed('topics', `no right to describe ${hidden.join(', ')}`, readPlan))
  }
  if (missing.length > 0) {
    findings.push(
      mayCreate === true
        ? ok('topics', `${missing.join(', ')} will be made by the first stage that starts`)
        : failed('topics', `${missing.join(', ')} missing: ${mayCreate?.message ?? ''}`),
    )
  }
  if (findings.some(({ status }) => status !== 'ok') || there.length === 0) return findings
  return [ok('topics', sameTopics(config, there.length)), ...findings]
}

function sameTopics({ topics, retention, sampler }: Config, count: number): string {
  const hours = (ms: number): string => `${Math.round(ms / 360_000) / 10} h`
  return (
    `${count} topics of ${topics.partitions} partitions as configured; spans stay ` +
    `${hours(retention.spans)}, decisions ${hours(retention.decisions)}, the index ${hours(sampler.indexLife)}`
  )
}

/** Rights of this user, whichever targets it is for: what no target could do is a warning alone. */
function rightFindings(survey: KafkaSurvey, config: Config): Finding[] {
  const have = new Map<string, readonly KafkaRight[] | undefined>()
  for (const topic of survey.topics)
    if (topic.kind === 'found') have.set(topic.spec.name, topic.rights)
  for (const group of survey.groups) have.set(group.groupId, group.rights)
  if (!survey.topics.some(topic => topic.kind === 'found')) return []
  const lacking = new Map<StageName, string[]>()
  for (const { target, names, operations } of topicPlan(config).rights) {
    for (const name of names) {
      const known = have.get(name)
      const missing = operations.filter(
        operation => known !== undefined && !known.includes(operation),
      )
      if (missing.length === 0) continue
      lacking.set(target, [...(lacking.get(target) ?? []), `${missing.join('+')} ${name}`])
    }
  }
  const targets = [...new Set(topicPlan(config).rights.map(({ target }) => target))]
  const able = targets.filter(target => !lacking.has(target))
  const user = config.kafka.saslUsername ?? 'this user'
  if (lacking.size === 0) return [ok('kafka', `${user} may do what every target does`)]
  if (able.length > 0) return [ok('kafka', `${user} may do what ${able.join(', ')} do`)]
  return [...lacking].map(([target, names]) =>
    warning('kafka', `${user} is no ${target}: lacks ${names.join(', ')}`, readPlan),
  )
}

function groupFinding({ groups }: KafkaSurvey): Finding {
  const running = groups.filter(({ members }) => members > 0)
  if (running.length === 0) return ok('bus', 'no stage has joined a group')
  const words = running.map(({ groupId, members }) => `${groupId} ${members}`)
  return ok('bus', `members of groups: ${words.join(', ')}`)
}

/** The newest format of records that this release reads, of any topic. */
const recordFormat = Math.max(formats.tenantRuns, formats.evidence, formats.decision)

/** What lies last in each topic: its format, and how its time compares with this machine's. */
export async function lastRecordFindings(config: Config, log: Log): Promise<Finding[]> {
  const specs = Object.values(specsOf(config))
  const options = { ...kafkaOptions(config, specs, log), limits: kafkaLimits, mayCreate: false }
  const bus = await KafkaBus.open(options).catch((error: unknown) => {
    // Another check says what is wrong with the bus.
    if (error instanceof PipelineError) return undefined
    throw error
  })
  if (bus === undefined) return []
  try {
    const last = new Map<string, LastRecord>()
    for (const spec of specs) {
      const record = await lastRecord(bus, spec)
      if (record !== undefined) last.set(spec.name, record)
    }
    return last.size === 0 ? [ok('bus', 'no record yet')] : recordFindings(last)
  } finally {
    await bus.close()
  }
}

interface LastRecord {
  readonly format: number
  readonly appendedAtMs: number
}

async function lastRecord(bus: KafkaBus, spec: TopicSpec): Promise<LastRecord | undefined> {
  for (let partition = 0; partition < spec.partitions; partition++) {
    const { first, end } = await bus.bounds(spec.name, partition)
    if (end <= first) continue
    const { value, header, appendedAtMs } = await bus.fetch(spec.name, partition, end - 1)
    const text = Buffer.from(header ?? value.subarray(0, 200)).toString('latin1')
    return { format: Number(/"v":\s*(\d+)/.exec(text)?.[1] ?? 0), appendedAtMs }
  }
  return undefined
}

function recordFindings(last: ReadonlyMap<string, LastRecord>): Finding[] {
  const newer = [...last].filter(([, { format }]) => format > recordFormat)
  const found =
    newer.length === 0
      ? ok('v', `records of format ${recordFormat} in ${[...last.keys()].join(', ')}`)
      : failed(
          'v',
          newer.map(([topic, { format }]) => `${topic} has records of format ${format}`).join(', '),
          `this release reads up to ${recordFormat}: run the newer release`,
        )
  const nowMs = systemClock.nowMs()
  const newestMs = Math.max(...[...last.values()].map(one => one.appendedAtMs))
  // The log's time runs with its last record, so that only one from the future tells of a clock.
  if (newestMs <= nowMs + clockOffsetMs) return [found]
  return [
    found,
    clockFinding('bus', { serverMs: newestMs, askedMs: nowMs, answeredMs: nowMs, stepMs: 0 }),
  ]
}
