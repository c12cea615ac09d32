import { ManualClock, PipelineError } from '@winnow/runtime'
import { expect, onTestFinished, test, vi } from 'vitest'
import { kafkaClients } from './kafka-client.ts'
import { KafkaLink } from './kafka-link.ts'
import { defaultKafkaLimits } from './kafka-options.ts'
import { KafkaProducer } from './kafka-producer.ts'
import type { WrittenBatch } from './kafka-recent.ts'

/** The batch that was sent over links which fail so often before they answer. */
async function sentAfter(failures: number): Promise<WrittenBatch> {
  let left = failures
  vi.spyOn(KafkaLink.prototype, 'leaderOf').mockResolvedValue(1)
  vi.spyOn(KafkaLink.prototype, 'produce').mockImplementation(async () => {
    if (left-- > 0) throw new PipelineError('BUS_UNAVAILABLE', 'no answer')
    return [{ partition: 0, errorCode: 0, first: 7 }]
  })
  const options = { brokers: ['127.0.0.1:1'], specs: [], clientId: 'test' }
  const clients = kafkaClients(options, defaultKafkaLimits)
  let sent: WrittenBatch | undefined
  const onSend = (_partition: number, batch: WrittenBatch): void => {
    sent = batch
  }
  const producer = new KafkaProducer(clients, 't', defaultKafkaLimits, new ManualClock(), onSend)
  onTestFinished(async () => {
    vi.restoreAllMocks()
    await producer.close()
  })
  const records = [{ value: Buffer.alloc(1_000, 'a') }]
  const asked = { partition: 0, records, bytesMax: 2_000, untilMs: 60_000 }
  expect(await producer.send([asked])).toEqual(new Map([[0, 7]]))
  return sent as WrittenBatch
}

test('memory of a batch goes back once the broker has taken it', async () => {
  const { memory } = await sentAfter(0)
  expect(() => memory?.plain.hold()).toThrow(TypeError)
  expect(() => memory?.stored.hold()).toThrow(TypeError)
})

test('what failed once may still be on its way out: its memory is not used again', async () => {
  const { memory } = await sentAfter(1)
  expect(() => memory?.plain.hold()).not.toThrow()
  expect(() => memory?.stored.hold()).not.toThrow()
})
