import { expect, test } from 'vitest'
import { loadConfig } from '../program-config.ts'
import { topicPlan } from './topic-plan.ts'
import { planText } from './topics-text.ts'

const config = loadConfig({
  env: { WINNOW_TOPICS_PREFIX: 'w', WINNOW_TOPICS_PARTITIONS: '6', WINNOW_RETENTION_SPANS: '25h' },
  options: {},
  readFile: () => '',
})
const plan = topicPlan(config)

test('every topic is planned with what a bus demands of it', () => {
  expect(plan.topics.map(({ name }) => name)).toEqual([
    'w.spans.1',
    'w.evidence.1',
    'w.decisions.1',
    'w.baselines.1',
    'w.control.1',
  ])
  expect(plan.topics[0]).toMatchObject({ partitions: 6, replication: 3 })
  expect(plan.topics[0]?.settings).toMatchObject({
    'cleanup.policy': 'delete',
    'retention.ms': `${25 * 3_600_000}`,
    'message.timestamp.type': 'LogAppendTime',
    'min.insync.replicas': '2',
  })
  expect(plan.topics[3]?.settings).toMatchObject({ 'cleanup.policy': 'compact' })
})

test('a target may do what it does, and no more', () => {
  const may = (target: string) =>
    plan.rights
      .filter(right => right.target === target)
      .map(({ operations, names }) => `${operations.join('+')} ${names.join(' ')}`)
  const all = 'w.spans.1 w.evidence.1 w.decisions.1 w.baselines.1 w.control.1'
  expect(may('receiver')).toEqual([
    `Describe+DescribeConfigs ${all}`,
    'Read w.control.1',
    'Write w.spans.1 w.evidence.1',
  ])
  expect(may('writer')).toEqual([
    `Describe+DescribeConfigs ${all}`,
    'Read w.spans.1 w.decisions.1 w.control.1',
    'Read w.decisions.1.writer-hot w.decisions.1.writer-segments',
  ])
  expect(may('query').at(-1)).toBe('Describe w.spans.1.assembler w.evidence.1.sampler')
})

test('one principal takes the place of all, and a login names the file of it', () => {
  const text = planText(plan, { brokers: 'b:9092', needsLogin: true, principal: 'User:one' })
  expect(text).not.toContain('User:winnow-')
  for (const line of text.split('\n').filter(one => one.startsWith('kafka-'))) {
    expect(line).toContain('--bootstrap-server b:9092 --command-config admin.properties')
  }
})

test('a principal with a space or a quote is one word of the shell', () => {
  const principal = "User:CN=O'Hara $(reboot),O=Shop"
  const text = planText(plan, { brokers: 'b:9092', needsLogin: false, principal })
  expect(text).toContain(`--allow-principal 'User:CN=O'\\''Hara $(reboot),O=Shop' --operation`)
})

test('a receiver that takes from the topics of others may read them, where they are', () => {
  const source = (brokers: object) =>
    topicPlan({
      ...config,
      kafkaSource: { ...config.kafkaSource, topics: ['otlp_spans'], ...brokers },
    })
  const own = source({})
  expect(own.groups.at(-1)).toEqual({
    id: 'otlp_spans.winnow',
    topic: 'otlp_spans',
    target: 'receiver',
  })
  expect(own.rights.slice(-2)).toEqual([
    {
      target: 'receiver',
      resource: 'topic',
      names: ['otlp_spans'],
      operations: ['Read', 'Describe'],
    },
    { target: 'receiver', resource: 'group', names: ['otlp_spans.winnow'], operations: ['Read'] },
  ])
  const text = planText(source({ brokers: 'other:9092' }), { brokers: 'b:9092', needsLogin: false })
  expect(text).toContain('#   otlp_spans.winnow (receiver at other:9092)')
  expect(text).toContain(
    'kafka-acls.sh --bootstrap-server other:9092 --add --allow-principal User:winnow-receiver --operation Read --operation Describe --topic otlp_spans',
  )
  expect(text).not.toContain('--create --if-not-exists --topic otlp_spans')
})
