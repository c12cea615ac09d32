import { partitionOf, type TopicSpec, topicSpecs } from '@winnow/bus'
import { expect, onTestFinished, test } from 'vitest'
import { adminOf, kafkajs, newSpec, openBus } from './kafka/clients.ts'
import { javaMurmur2 } from './kafka/native.ts'
import { sharedKafka } from './kafka/shared.ts'
import { refuse } from './refuse.ts'

const broker = (await sharedKafka()) ?? ''
const fact = test.runIf(broker !== '')

const setting = async (topic: string, name: string): Promise<string | undefined> =>
  adminOf(broker, async admin => {
    const resources = [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }]
    const answer = await admin.describeConfigs({ resources, includeSynonyms: false })
    return answer.resources[0]?.configEntries.find(entry => entry.configName === name)?.configValue
  })

const opened = async (...specs: TopicSpec[]): Promise<string | undefined> => {
  const [first] = specs
  const bus = await openBus(broker, specs)
  onTestFinished(() => bus.close())
  return first && (await bus.logId(first.name))
}

fact('missing topics are made as the table of topics says', async () => {
  const prefix = newSpec().name.slice(0, -2)
  const specs = topicSpecs({ prefix, generation: 3, partitions: 5 })
  const logId = await opened(...Object.values(specs))
  expect(logId).toMatch(/^3-[0-9a-f]{32}$/)
  const { spans, decisions, control } = specs
  for (const [topic, name, value] of [
    [spans, 'cleanup.policy', 'delete'],
    [spans, 'retention.ms', `${24 * 3_600_000}`],
    [spans, 'retention.bytes', '-1'],
    [spans, 'segment.ms', `${15 * 60_000}`],
    [spans, 'max.message.bytes', `${8 * 1024 * 1024}`],
    [spans, 'message.timestamp.type', 'LogAppendTime'],
    [spans, 'min.insync.replicas', '1'],
    [spans, 'unclean.leader.election.enable', 'false'],
    [decisions, 'retention.ms', `${96 * 3_600_000}`],
    [control, 'cleanup.policy', 'compact'],
    [control, 'segment.ms', `${15 * 60_000}`],
  ] as const) {
    expect(await setting(topic.name, name), `${topic.name} ${name}`).toBe(value)
  }
})

fact('opening again changes nothing, also when two open at the same moment', async () => {
  const specs = [newSpec(), newSpec(), newSpec()]
  const ids = await Promise.all([opened(...specs), opened(...specs), opened(...specs)])
  expect(new Set([...ids, await opened(...specs)]).size).toBe(1)
})

fact('another partition count is refused: topic, found, wanted and both remedies', async () => {
  const spec = newSpec(4)
  await opened(spec)
  const wrong = opened({ ...spec, partitions: 5 })
  await expect(wrong).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  const said = new RegExp(
    `topic ${spec.name} has 4 partitions, \`topics.partitions\` is 5: set \`topics.partitions\` to 4, or raise \`topics.generation\``,
  )
  await expect(wrong).rejects.toThrow(said)
})

fact('settings that would lose records or lie about time are refused, all at once', async () => {
  const spec = newSpec()
  await adminOf(broker, admin =>
    admin.createTopics({
      topics: [
        {
          topic: spec.name,
          numPartitions: spec.partitions,
          configEntries: [
            { name: 'retention.ms', value: '60000' },
            { name: 'retention.bytes', value: '1000000' },
            { name: 'max.message.bytes', value: '1048588' },
            { name: 'message.timestamp.type', value: 'CreateTime' },
            { name: 'unclean.leader.election.enable', value: 'true' },
          ],
        },
      ],
    }),
  )
  const wrong = opened(spec)
  await expect(wrong).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  for (const [name, found, wanted] of [
    ['retention.ms', '60000', '86400000'],
    ['retention.bytes', '1000000', '-1'],
    ['max.message.bytes', '1048588', '8388608'],
    ['message.timestamp.type', 'CreateTime', 'LogAppendTime'],
    ['unclean.leader.election.enable', 'true', 'false'],
  ]) {
    await expect(wrong).rejects.toThrow(`${name}=${found}, wanted ${wanted}`)
    await expect(wrong).rejects.toThrow(
      `kafka-configs --alter --topic ${spec.name} --add-config ${name}=${wanted}`,
    )
  }
})

fact('more copies than brokers is refused with the key to change', async () => {
  const wrong = openBus(broker, [newSpec()], { replication: 2 })
  await expect(wrong).rejects.toThrow(
    /CONFIG_INVALID.*INVALID_REPLICATION_FACTOR.*`topics\.replication`/,
  )
})

fact('a producer keyed by trace id places a trace where we do, and is read like ours', async () => {
  const spec = newSpec(12)
  const bus = await openBus(broker, [spec])
  onTestFinished(() => bus.close())
  const client = new kafkajs.Kafka({ brokers: [broker], logLevel: kafkajs.logLevel.NOTHING })
  const producer = client.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
  await producer.connect()
  const keys = Array.from({ length: 200 }, (_, at) => traceId(at))
  await producer.send({
    topic: spec.name,
    compression: kafkajs.CompressionTypes.GZIP,
    messages: keys.map(key => ({ key, value: key })),
  })
  await producer.disconnect()
  const found = new Map<string, number>()
  for (let partition = 0; partition < 12; partition++) {
    const { records } = await bus.read(spec.name, partition, 0, 1 << 20, 0)
    for (const { key } of records) found.set(Buffer.from(key ?? '').toString('hex'), partition)
  }
  const ours = keys.map(key => [key.toString('hex'), partitionOf(key, 0, 16, 12)] as const)
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(ours))
})

fact('the hash is that of Kafka’s own class, run from its jars', async ({ skip }) => {
  const keys = Array.from({ length: 300 }, (_, at) => traceId(at).subarray(0, 1 + (at % 16)))
  const java = await javaMurmur2(keys)
  if (java === undefined) return refuse(skip, 'no `javac` and jars to ask')
  for (const [at, key] of keys.entries()) {
    const hash = java[at] as number
    for (const count of [1, 12, 50]) {
      const expected = (hash & 0x7fffffff) % count
      expect(partitionOf(key, 0, key.length, count), key.toString('hex')).toBe(expected)
    }
  }
})

/** Sixteen bytes that differ in all places from seed to seed. */
function traceId(seed: number): Buffer {
  const bytes = Buffer.alloc(16)
  for (let at = 0, state = seed + 1; at < 16; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    bytes[at] = state >>> 16
  }
  return bytes
}
