import type { StageName } from '../stages/stage.ts'
import type { TopicPlan } from './topic-plan.ts'
import type { TopicsReport } from './topics-report.ts'

export interface PlanTextOptions {
  /** `host:port[,…]`, for `--bootstrap-server`. */
  readonly brokers: string
  /** Whether Kafka's own tools need a file with how to log in. */
  readonly needsLogin: boolean
  /** One user for every target; absent: one each, to be replaced. */
  readonly principal?: string
}

/** Lines for a shell: what is no command is a comment. */
export function planText(plan: TopicPlan, options: PlanTextOptions): string {
  const server = `--bootstrap-server ${options.brokers}`
  const login = options.needsLogin ? ' --command-config admin.properties' : ''
  const principalOf = (target: StageName): string =>
    shellWord(options.principal ?? `User:winnow-${target}`)
  const topics = plan.topics.map(({ name, partitions, replication, settings }) => {
    const configs = Object.entries(settings).map(([key, value]) => `--config ${key}=${value}`)
    return [
      `kafka-topics.sh ${server}${login} --create --if-not-exists --topic ${name}`,
      `--partitions ${partitions} --replication-factor ${replication}`,
      ...configs,
    ].join(' ')
  })
  const rights = plan.rights.map(({ target, resource, names, operations, brokers }) =>
    [
      `kafka-acls.sh ${brokers === undefined ? server : `--bootstrap-server ${brokers}`}${login} --add --allow-principal ${principalOf(target)}`,
      ...operations.map(operation => `--operation ${operation}`),
      ...names.map(name => `--${resource} ${name}`),
    ].join(' '),
  )
  const [first] = plan.topics
  return [
    `# ${plan.topics.length} topics, of ${first?.partitions} partitions in ${first?.replication} copies each`,
    ...topics,
    '',
    '# Consumer groups; Kafka makes them as they are used',
    ...plan.groups.map(
      ({ id, target, brokers }) =>
        `#   ${id} (${target}${brokers === undefined ? '' : ` at ${brokers}`})`,
    ),
    '',
    options.principal === undefined
      ? '# Rights, where the cluster checks them: put the users of kafka.saslUsername in place of User:winnow-…'
      : '# Rights, where the cluster checks them',
    ...rights,
    '',
  ].join('\n')
}

/** A name may be a whole `CN=…,O=…` of a certificate, with spaces. */
function shellWord(text: string): string {
  return /^[\w:@.+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/** One line a topic, and below it how it differs. */
export function reportText(report: TopicsReport): string {
  const width = Math.max(...report.topics.map(({ name }) => name.length))
  const lines = report.topics.flatMap(topic => [
    `${markOf(topic.state)} ${topic.name.padEnd(width)}  ${topic.says}`,
    ...topic.differences.map(
      ({ matters, what, found, wanted, remedy }) =>
        `  ${matters ? '✗' : '!'} ${what} is ${found}, wanted ${wanted}: ${remedy}`,
    ),
  ])
  return [...lines, report.says, ''].join('\n')
}

const marks = { same: '✓', differs: '✗', unlike: '!', missing: '!', refused: '✗' } as const

function markOf(state: keyof typeof marks): string {
  return marks[state]
}
