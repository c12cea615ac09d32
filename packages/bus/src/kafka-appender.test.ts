import { ManualClock, PipelineError } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { KafkaAppender, type PartitionOutcome, type SendBatches } from './kafka-appender.ts'
import { defaultKafkaLimits, type KafkaLimits } from './kafka-options.ts'

interface Sent {
  /** `partition:value` of every record, as it was when it was sent. */
  readonly texts: readonly string[]
  readonly partitions: readonly number[]
  readonly bytesMax: number
  readonly untilMs: readonly number[]
  readonly answer: (outcomes: Readonly<Record<number, PartitionOutcome>>) => void
  readonly fail: (error: unknown) => void
}

/** An appender whose requests wait for the test to answer them. */
function appender(limits: Partial<KafkaLimits> = {}): {
  sent: Sent[]
  appends: KafkaAppender
  clock: ManualClock
} {
  const sent: Sent[] = []
  const send: SendBatches = batches =>
    new Promise((resolve, reject) => {
      sent.push({
        texts: batches.flatMap(({ partition, records }) =>
          records.map(({ value }) => `${partition}:${value}`),
        ),
        partitions: batches.map(({ partition }) => partition),
        bytesMax: batches.reduce((sum, batch) => sum + batch.bytesMax, 0),
        untilMs: batches.map(({ untilMs }) => untilMs),
        answer: outcomes =>
          resolve(new Map(Object.entries(outcomes).map(([p, one]) => [Number(p), one]))),
        fail: reject,
      })
    })
  const all = { ...defaultKafkaLimits, ...limits }
  const clock = new ManualClock()
  return { sent, appends: new KafkaAppender('t', all, clock, send), clock }
}

const record = (text: string): { value: Uint8Array } => ({ value: Buffer.from(text) })
const turn = (): Promise<void> => new Promise(resolve => setImmediate(() => setImmediate(resolve)))
const texts = (sent: Sent | undefined): readonly string[] => sent?.texts ?? []

test('an idle topic sends at once, and appends of one turn share the request', async () => {
  const { sent, appends } = appender()
  const all = [appends.append(0, [record('a')]), appends.append(1, [record('b'), record('c')])]
  await turn()
  expect(sent.map(texts)).toEqual([['0:a', '1:b', '1:c']])
  sent[0]?.answer({ 0: 10, 1: 20 })
  expect(await Promise.all(all)).toEqual([10, 20])
})

test('what comes while its partition is under way gathers, in order, into the next batch', async () => {
  const { sent, appends } = appender()
  const first = appends.append(0, [record('a')])
  await turn()
  const later = ['b', 'c', 'd'].map(text => appends.append(0, [record(text), record(`${text}2`)]))
  const other = appends.append(1, [record('x')])
  await turn()
  expect(sent.map(texts)).toEqual([['0:a'], ['1:x']])
  sent[0]?.answer({ 0: 0 })
  sent[1]?.answer({ 1: 7 })
  await Promise.all([first, other])
  await turn()
  expect(texts(sent[2])).toEqual(['0:b', '0:b2', '0:c', '0:c2', '0:d', '0:d2'])
  sent[2]?.answer({ 0: 1 })
  expect(await Promise.all(later)).toEqual([1, 3, 5])
})

test('no more requests than the limit are under way; the rest gathers', async () => {
  const { sent, appends } = appender({ requestsInFlightMax: 2 })
  for (const partition of [0, 1, 2, 3]) {
    appends.append(partition, [record('r')]).catch(() => {})
    await turn()
  }
  expect(sent.map(texts)).toEqual([['0:r'], ['1:r']])
  sent[0]?.answer({ 0: 0 })
  await turn()
  expect(sent.map(texts)).toEqual([['0:r'], ['1:r'], ['2:r', '3:r']])
})

test('a batch is filled to its limit and not a byte over', async () => {
  const size = 100 + 64
  const { sent, appends } = appender({ producerBatchBytesMax: 3 * size })
  const value = Buffer.alloc(100)
  for (let count = 0; count < 4; count++) appends.append(0, [{ value }]).catch(() => {})
  await turn()
  expect(sent.map(one => one.texts.length)).toEqual([3])
  sent[0]?.answer({ 0: 0 })
  await turn()
  expect(sent.map(one => one.texts.length)).toEqual([3, 1])
})

test('an append at the batch limit is taken, one byte more is refused with the remedy', async () => {
  const { sent, appends } = appender({ producerBatchBytesMax: 164 })
  appends.append(0, [{ value: Buffer.alloc(100) }]).catch(() => {})
  await turn()
  expect(sent.length).toBe(1)
  const over = appends.append(0, [{ value: Buffer.alloc(90), key: Buffer.alloc(11) }])
  await expect(over).rejects.toThrow(/PAYLOAD_TOO_LARGE.*`producerBatchBytesMax` is 164: split/)
})

test('a request holds no more than its limit over all partitions, and the others go next', async () => {
  const { sent, appends } = appender({ requestBytesMax: 2 * 164, requestsInFlightMax: 1 })
  const value = Buffer.alloc(100)
  for (const partition of [0, 1, 2]) appends.append(partition, [{ value }]).catch(() => {})
  await turn()
  expect(sent.map(one => one.partitions)).toEqual([[0, 1]])
  sent[0]?.answer({ 0: 0, 1: 0 })
  await turn()
  expect(sent[1]?.partitions).toEqual([2])
})

test('the queue takes bytes up to its limit, then BUS_UNAVAILABLE at once, until some left', async () => {
  const { sent, appends } = appender({ queuedBytesMax: 2 * 164 })
  const value = Buffer.alloc(100)
  const two = [appends.append(0, [{ value }]), appends.append(0, [{ value }])]
  expect(appends.queuedBytes).toBe(2 * 164)
  await expect(appends.append(1, [{ value: Buffer.alloc(0) }])).rejects.toMatchObject({
    code: 'BUS_UNAVAILABLE',
  })
  await turn()
  sent[0]?.answer({ 0: 0 })
  await Promise.all(two)
  await turn()
  expect(appends.queuedBytes).toBe(0)
})

test('a deadline rejects what is under way and what is queued, and frees its bytes', async () => {
  const { sent, appends } = appender({ appendWaitMs: 20 })
  const underWay = appends.append(0, [record('mine')])
  await turn()
  const queued = appends.append(0, [record('queued')])
  for (const late of [underWay, queued]) {
    await expect(late).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
  }
  sent[0]?.answer({ 0: 0 })
  await turn()
  expect([sent.length, appends.queuedBytes]).toEqual([1, 0])
})

test('a batch may be sent until the last of its appends gives up', async () => {
  const { sent, appends, clock } = appender({ appendWaitMs: 5_000 })
  const startMs = clock.nowMs()
  appends.append(0, [record('a')]).catch(() => {})
  clock.advanceMs(100)
  appends.append(0, [record('b')]).catch(() => {})
  await turn()
  expect(sent[0]?.untilMs).toEqual([startMs + 5_100])
})

test('a refusal for good meets the append whose fault it was, not its neighbours', async () => {
  const { sent, appends } = appender()
  const large = appends.append(0, [record('large')])
  const same = appends.append(0, [record('same')])
  const other = appends.append(1, [record('other')])
  await turn()
  const refusal = new PipelineError('PAYLOAD_TOO_LARGE', 'too large')
  sent[0]?.answer({ 0: refusal, 1: 6 })
  await turn()
  expect(texts(sent[1])).toEqual(['0:large'])
  sent[1]?.answer({ 0: refusal })
  await expect(large).rejects.toBe(refusal)
  await turn()
  expect(texts(sent[2])).toEqual(['0:same'])
  sent[2]?.answer({ 0: 5 })
  // The other partition had taken its batch: it is not sent again.
  expect(await Promise.all([same, other])).toEqual([5, 6])
  expect(sent.length).toBe(3)
})

test('an append that was given up is not sent by itself: its bytes may be another’s by then', async () => {
  const { sent, appends } = appender({ appendWaitMs: 20 })
  const both = [appends.append(0, [record('a')]), appends.append(0, [record('b')])]
  await turn()
  for (const late of both) await expect(late).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
  sent[0]?.answer({ 0: new PipelineError('PAYLOAD_TOO_LARGE', 'too large') })
  await turn()
  expect(sent.length).toBe(1)
})

test('a partition that is refused for now fails alone', async () => {
  const { sent, appends } = appender()
  const refused = [appends.append(0, [record('a')]), appends.append(0, [record('b')])]
  const taken = appends.append(1, [record('c')])
  await turn()
  sent[0]?.answer({ 0: new PipelineError('BUS_UNAVAILABLE', 'not now'), 1: 4 })
  for (const one of refused) await expect(one).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
  expect(await taken).toBe(4)
  expect(sent.length).toBe(1)
})

test('an outage meets all of a request, and the next request is tried', async () => {
  const { sent, appends } = appender()
  const both = [appends.append(0, [record('a')]), appends.append(1, [record('b')])]
  await turn()
  sent[0]?.fail(new Error('connection closed'))
  for (const one of both) await expect(one).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
  const next = appends.append(0, [record('c')])
  await turn()
  sent[1]?.answer({ 0: 3 })
  expect(await next).toBe(3)
})

test('closing refuses what has not left', async () => {
  const { sent, appends } = appender()
  const underWay = appends.append(0, [record('a')])
  await turn()
  const queued = appends.append(0, [record('b')])
  appends.close()
  await expect(queued).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
  sent[0]?.answer({ 0: 4 })
  expect(await underWay).toBe(4)
})
