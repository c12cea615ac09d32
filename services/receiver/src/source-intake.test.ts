import { MemoryBus, type NewRecord, type Source, sourceOnBus } from '@winnow/bus'
import { detectedKinds, Redactors, SharedTokenKeys } from '@winnow/privacy'
import { Health, type Log, ManualClock, Metrics, PipelineError, silentLog } from '@winnow/runtime'
import { afterEach, expect, test, vi } from 'vitest'
import { receiverConfigSchema } from './config.ts'
import { kafkaSourceConfigSchema } from './kafka-source-config.ts'
import { nowMs, requestJson, requestProto, spanJson, specs, TestBus } from './receiver.fixture.ts'
import { createReceiver, type Receiver } from './receiver.ts'
import { isJsonMessage, tenantOf } from './source-message.ts'

const topic = 'otlp_spans'
const partitionCount = 3
const waits = { timeout: 20_000, interval: 5 }

/** A receiver whose source is a topic in memory. */
class World {
  readonly clock = new ManualClock()
  readonly bus: TestBus
  readonly topics: MemoryBus
  readonly source: Source
  readonly metrics = new Metrics()
  readonly health = new Health()
  readonly lines: { kind: string; fields: object }[] = []
  receiver: Receiver | undefined

  constructor() {
    this.clock.advanceMs(nowMs)
    this.bus = new TestBus(this.clock)
    const spec = { name: topic, partitions: partitionCount, retentionMs: 1e9, keyed: false }
    this.topics = new MemoryBus([spec], this.clock)
    this.source = sourceOnBus(this.topics, [topic], 'winnow')
  }

  async start(
    config: object = {},
    options: { receiver?: object; source?: Source; redactors?: Redactors } = {},
  ) {
    const listen = { host: '127.0.0.1', port: 0 }
    const keep = (kind: string, fields: object = {}): void => {
      this.lines.push({ kind, fields })
    }
    const log: Log = { ...silentLog, info: keep, warn: keep }
    this.receiver = createReceiver({
      bus: this.bus.bus,
      topics: { spans: specs.spans.name, evidence: specs.evidence.name },
      listen: { grpc: listen, http: listen },
      keys: undefined,
      config: receiverConfigSchema.parse({ appendWaitMax: '200ms', ...options.receiver }),
      clock: this.clock,
      log,
      metrics: this.metrics,
      health: this.health,
      hashSeed: 1,
      ...(options.redactors !== undefined && { redactors: options.redactors }),
      kafkaSource: {
        source: options.source ?? this.source,
        config: kafkaSourceConfigSchema.parse({ topics: [topic], retryDelay: '10ms', ...config }),
      },
    })
    await this.receiver.start()
    return this.receiver
  }

  send(partition: number, ...values: (Uint8Array | string | NewRecord)[]): Promise<number> {
    const records = values.map(value =>
      typeof value === 'string' || value instanceof Uint8Array
        ? { value: Buffer.from(value) }
        : value,
    )
    return this.topics.append(topic, partition, records)
  }

  async committed(): Promise<(number | undefined)[]> {
    const all = Array.from({ length: partitionCount }, (_, partition) =>
      this.topics.committed(topic, 'winnow', partition),
    )
    return (await Promise.all(all)).map(position => position?.offset)
  }

  async untilCommitted(...offsets: (number | undefined)[]): Promise<void> {
    await vi.waitFor(async () => expect(await this.committed()).toEqual(offsets), waits)
  }

  async spanIds(): Promise<string[]> {
    return (await this.bus.spans()).map(({ span }) => span.spanId).sort()
  }

  async counted(name: string): Promise<Record<string, number>> {
    const metric = await this.metrics.registry.getSingleMetric(name)?.get()
    return Object.fromEntries(
      (metric?.values ?? []).map(({ labels, value }) => [Object.values(labels).join(' '), value]),
    )
  }
}

let world: World
afterEach(async () => {
  await world.receiver?.stop()
})

const idsOf = (...numbers: number[]): string[] => numbers.map(n => spanJson(n).spanId).sort()

test('protobuf and JSON of several partitions are on the bus before their positions are committed', async () => {
  world = new World()
  await world.send(0, requestProto(spanJson(1), spanJson(2)), requestJson(spanJson(3)))
  await world.send(2, requestProto(spanJson(4)))
  let appended = 0
  world.bus.before = async () => {
    expect(await world.committed()).toEqual([undefined, undefined, undefined])
    await new Promise(resolve => setTimeout(resolve, 30))
    appended++
  }
  await world.start()
  await world.untilCommitted(2, undefined, 1)
  expect(appended).toBeGreaterThan(0)
  expect(await world.spanIds()).toEqual(idsOf(1, 2, 3, 4))
  expect(await world.counted('winnow_source_messages_total')).toEqual({ [`${topic} taken`]: 3 })
  expect(await world.counted('winnow_spans_received_total')).toEqual({
    'default kafka/protobuf': 3,
    'default kafka/json': 1,
  })
  expect((await world.health.read()).parts.source).toEqual({ ready: true })
})

test('while the bus takes nothing, nothing is committed and no more is read; then all of it arrives', async () => {
  world = new World()
  let isDown = true
  world.bus.before = () => {
    if (isDown) throw new PipelineError('BUS_UNAVAILABLE', 'no broker answers')
  }
  await world.start()
  for (let n = 0; n < 20; n++) await world.send(n % 3, requestProto(spanJson(n)))
  await new Promise(resolve => setTimeout(resolve, 100))
  expect(await world.committed()).toEqual([undefined, undefined, undefined])
  isDown = false
  await world.untilCommitted(7, 7, 6)
  expect(new Set(await world.spanIds())).toEqual(new Set(idsOf(...Array(20).keys())))
})

test('while a tenant’s keys are damaged his messages wait, and nothing ends', async () => {
  world = new World()
  const shared = new SharedTokenKeys([{ id: 0, bytes: Buffer.alloc(32, 1) }])
  let asked = 0
  let isDamaged = true
  const redactors = new Redactors(
    {
      keys: async tenant => {
        asked++
        if (isDamaged) throw new PipelineError('DATA_CORRUPT', 'default.tokens has no keys')
        return shared.keys(tenant)
      },
    },
    () => ({ redact: true, kinds: detectedKinds, patterns: [] }),
    () => 0,
  )
  const receiver = await world.start({}, { redactors })
  let hasFailed = false
  receiver.failed.catch(() => {
    hasFailed = true
  })
  await world.send(0, requestProto(spanJson(1)))
  await vi.waitFor(() => expect(asked).toBeGreaterThan(2), waits)
  expect(await world.committed()).toEqual([undefined, undefined, undefined])
  expect(hasFailed).toBe(false)
  isDamaged = false
  await world.untilCommitted(1, undefined, undefined)
  expect(await world.spanIds()).toEqual(idsOf(1))
  expect(await world.counted('winnow_source_messages_total')).toEqual({ [`${topic} taken`]: 1 })
})

test('a poison message is set aside with its offset and reason, and holds nothing up', async () => {
  world = new World()
  await world.send(
    1,
    requestProto(spanJson(1)),
    'no protobuf, no JSON',
    '{"resourceSpans": 7}',
    requestJson(spanJson(2)),
  )
  await world.start()
  await world.untilCommitted(undefined, 4, undefined)
  expect(await world.spanIds()).toEqual(idsOf(1, 2))
  const aside = world.lines.filter(({ kind }) => kind === 'receiver.source_set_aside')
  expect(aside.map(({ fields }) => fields)).toMatchObject([
    { topic, partition: 1, offset: 1, reason: 'invalid' },
    { topic, partition: 1, offset: 2, reason: 'invalid' },
  ])
  expect(await world.counted('winnow_source_set_aside_total')).toEqual({ [`${topic} invalid`]: 2 })
})

test('an empty message and an empty envelope are taken, and append nothing', async () => {
  world = new World()
  await world.send(0, '', '{}')
  await world.start()
  await world.untilCommitted(2, undefined, undefined)
  expect(world.bus.appends).toBe(0)
})

test('a bad span is refused alone: counted by its reason and logged with its message', async () => {
  world = new World()
  const bad = spanJson(2, { spanId: '0'.repeat(16) })
  await world.send(0, requestJson(spanJson(1), bad, spanJson(3)))
  await world.start()
  await world.untilCommitted(1, undefined, undefined)
  expect(await world.spanIds()).toEqual(idsOf(1, 3))
  expect(await world.counted('winnow_spans_rejected_total')).toEqual({ json: 1 })
  const line = world.lines.find(({ kind }) => kind === 'receiver.source_spans_rejected')
  expect(line?.fields).toMatchObject({ topic, partition: 0, offset: 0, rejected: 1 })
})

test('a message of requestBytesMax is taken, one byte more is set aside as too large', async () => {
  world = new World()
  const message = requestProto(spanJson(1, { name: 'x'.repeat(5_000) }))
  const longer = requestProto(spanJson(2, { name: 'x'.repeat(5_001) }))
  expect(longer.length).toBe(message.length + 1)
  await world.send(0, message, longer)
  await world.start({}, { receiver: { requestBytesMax: `${message.length}B` } })
  await world.untilCommitted(2, undefined, undefined)
  expect(await world.spanIds()).toEqual(idsOf(1))
  expect(await world.counted('winnow_source_set_aside_total')).toEqual({
    [`${topic} too_large`]: 1,
  })
})

test('messages wait for room instead of being refused', async () => {
  world = new World()
  const message = (n: number) => requestProto(spanJson(n, { name: 'x'.repeat(40_000) }))
  await world.send(0, ...Array.from({ length: 12 }, (_, n) => message(n)))
  let most = 0
  world.bus.before = async () => {
    most = Math.max(most, world.receiver?.bytesInFlight ?? 0)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  const receiver = {
    requestBytesMax: '64KiB',
    inflightBytesMax: '128KiB',
    inflightBytesPerTenantMax: '128KiB',
  }
  await world.start({}, { receiver: { ...receiver, appendWaitMax: '5s' } })
  await world.untilCommitted(12, undefined, undefined)
  expect(new Set(await world.spanIds()).size).toBe(12)
  // Composing may hold a little more than the bodies themselves.
  expect(most).toBeLessThan(200 * 1024)
})

test('a tenant comes from the header, and a message without one is set aside', async () => {
  world = new World()
  const from = (n: number, header?: string): NewRecord => ({
    value: requestProto(spanJson(n)),
    ...(header !== undefined && { header: Buffer.from(header) }),
  })
  await world.send(0, from(1, 'acme'), from(2), from(3, ''), from(4, 'zoo'))
  await world.start({ tenantHeader: 'x-tenant' })
  await world.untilCommitted(4, undefined, undefined)
  const tenants = (await world.bus.spans()).map(({ tenant, span }) => `${tenant} ${span.name}`)
  expect(tenants.sort()).toEqual(['acme span 1', 'zoo span 4'])
  expect(await world.counted('winnow_source_set_aside_total')).toEqual({ [`${topic} tenant`]: 2 })
})

test('a name of 64 letters is a tenant, of 65 or with a control character none', () => {
  const named = (text: string) =>
    tenantOf({ header: Buffer.from(text) }, { tenantHeader: 't', tenant: undefined })
  expect(named('a'.repeat(64))).toBe('a'.repeat(64))
  expect(named('a'.repeat(65))).toBeUndefined()
  expect(named('a\nb')).toBeUndefined()
  expect(tenantOf({ header: Buffer.of(0xff) }, { tenantHeader: 't', tenant: 'x' })).toBeUndefined()
  expect(tenantOf({}, { tenantHeader: 't', tenant: 'x' })).toBe('x')
  expect(tenantOf({}, { tenantHeader: undefined, tenant: undefined })).toBe('default')
})

test('the encoding is what it is said to be, or told by the first byte', () => {
  expect(isJsonMessage(Buffer.from('{}'), 'auto')).toBe(true)
  expect(isJsonMessage(requestProto(spanJson(1)), 'auto')).toBe(false)
  expect(isJsonMessage(Buffer.from('{}'), 'otlp_proto')).toBe(false)
  expect(isJsonMessage(Buffer.from('x'), 'otlp_json')).toBe(true)
})

test('a partition that cannot be read waits, says so in its health, and goes on once it can', async () => {
  world = new World()
  let isBroken = true
  const source: Source = {
    ...world.source,
    join: fold =>
      world.source.join(lease =>
        fold({
          ...lease,
          read: (bytesMax, waitMs) => {
            if (!isBroken || lease.partition !== 1) return lease.read(bytesMax, waitMs)
            throw new PipelineError('CONFIG_INVALID', 'topic otlp_spans: codec 7; write zstd')
          },
        }),
      ),
  }
  await world.send(0, requestProto(spanJson(1)))
  await world.send(1, requestProto(spanJson(2)))
  await world.start({}, { source })
  await world.untilCommitted(1, undefined, undefined)
  const { ready, detail } = (await world.health.read()).parts.source ?? {}
  expect([ready, detail]).toEqual([false, '[CONFIG_INVALID] topic otlp_spans: codec 7; write zstd'])
  isBroken = false
  await world.untilCommitted(1, 1, undefined)
  expect((await world.health.read()).parts.source).toEqual({ ready: true })
})

test('messages that retention took before they were read are counted as lost, and said', async () => {
  world = new World()
  const source: Source = {
    ...world.source,
    join: fold =>
      world.source.join(lease =>
        fold({
          ...lease,
          read: async (bytesMax, waitMs) => {
            const batch = await lease.read(bytesMax, waitMs)
            return batch.records.length === 0 ? batch : { ...batch, gap: { from: 0, to: 5 } }
          },
        }),
      ),
  }
  await world.send(0, requestProto(spanJson(1)))
  await world.start({}, { source })
  await world.untilCommitted(1, undefined, undefined)
  const counted = await world.counted('winnow_source_messages_total')
  expect(counted).toEqual({ [`${topic} taken`]: 1, [`${topic} lost`]: 5 })
})

test('what is not the fault of a message ends the receiver, and nothing is passed over', async () => {
  world = new World()
  world.bus.before = () => {
    throw new PipelineError('STALE_OWNER', 'end the process')
  }
  await world.send(0, requestProto(spanJson(1)))
  const receiver = await world.start()
  await expect(receiver.failed).rejects.toMatchObject({ code: 'STALE_OWNER' })
  expect(await world.committed()).toEqual([undefined, undefined, undefined])
})

test('a stop finishes and commits what is in hand', async () => {
  world = new World()
  let begun = 0
  world.bus.before = async () => {
    begun++
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  await world.send(0, requestProto(spanJson(1)))
  const receiver = await world.start()
  await vi.waitFor(() => expect(begun).toBeGreaterThan(0), waits)
  await receiver.stop()
  expect(await world.committed()).toEqual([1, undefined, undefined])
  expect(await world.spanIds()).toEqual(idsOf(1))
})
