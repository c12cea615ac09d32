import { ManualClock, PipelineError } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { KafkaAppender, type Message, type SendBatches } from './kafka-appender.ts'
import { defaultKafkaLimits, type KafkaLimits } from './kafka-options.ts'

interface Sent {
  readonly messages: readonly Message[]
  readonly answer: (firsts: Readonly<Record<number, number>>) => void
  readonly fail: (error: unknown) => void
}

/** An appender whose requests wait for the test to answer them. */
function appender(limits: Partial<KafkaLimits> = {}): { sent: Sent[]; appends: KafkaAppender } {
  const sent: Sent[] = []
  const send: SendBatches = messages =>
    new Promise((resolve, reject) => {
      const answer = (firsts: Readonly<Record<number, number>>): void =>
        resolve(new Map(Object.entries(firsts).map(([p, first]) => [Number(p), first])))
      sent.push({ messages, answer, fail: reject })
    })
  const all = { ...defaultKafkaLimits, ...limits }
  return { sent, appends: new KafkaAppender('t', all, new ManualClock(), send) }
}

const record = (text: string): { value: Uint8Array } => ({ value: Buffer.from(text) })
const turn = (): Promise<void> => new Promise(resolve => setImmediate(() => setImmediate(resolve)))
const texts = (sent: Sent | undefined): string[] =>
  (sent?.messages ?? []).map(message => `${message.partition}:${message.value}`)

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
  expect(sent.map(one => one.messages.length)).toEqual([3])
  sent[0]?.answer({ 0: 0 })
  await turn()
  expect(sent.map(one => one.messages.length)).toEqual([3, 1])
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
  expect(sent.map(one => one.messages.map(message => message.partition))).toEqual([[0, 1]])
  sent[0]?.answer({ 0: 0, 1: 0 })
  await turn()
  expect(sent[1]?.messages.map(message => message.partition)).toEqual([2])
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

test('a deadline rejects; bytes under way are copied, so that their owner may reuse them', async () => {
  const { sent, appends } = appender({ appendWaitMs: 20 })
  const value = Buffer.from('mine')
  const underWay = appends.append(0, [{ value, key: value, header: value }])
  await turn()
  const queued = appends.append(0, [record('queued')])
  for (const late of [underWay, queued]) {
    await expect(late).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
  }
  value.fill('x')
  const [message] = sent[0]?.messages ?? []
  expect([message?.value, message?.key, message?.headers?.winnow].map(String)).toEqual(
    Array.from({ length: 3 }, () => 'mine'),
  )
  sent[0]?.answer({ 0: 0 })
  await turn()
  expect([sent.length, appends.queuedBytes]).toEqual([1, 0])
})

test('a refusal for good meets the append whose fault it was, not its neighbours', async () => {
  const { sent, appends } = appender()
  const large = appends.append(0, [record('large')])
  const same = appends.append(0, [record('same')])
  const other = appends.append(1, [record('other')])
  await turn()
  const refusal = new PipelineError('PAYLOAD_TOO_LARGE', 'too large')
  sent[0]?.fail(refusal)
  await turn()
  expect(texts(sent[1])).toEqual(['0:large'])
  sent[1]?.fail(refusal)
  await expect(large).rejects.toBe(refusal)
  await turn()
  sent[2]?.answer({ 0: 5 })
  await turn()
  sent[3]?.answer({ 1: 6 })
  expect(await Promise.all([same, other])).toEqual([5, 6])
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
