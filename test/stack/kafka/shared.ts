import { afterAll, onTestFinished, test } from 'vitest'
import { type StartKafkaOptions, startKafka, type TestKafka } from '../kafka.ts'
import { refuse } from '../refuse.ts'

/**
 * One broker for the tests of a file, ended after them. Undefined where none can be had: the file
 * then has one test, skipped with the reason, or failed under `TEST_NO_SKIP=1`.
 */
export async function sharedKafka(): Promise<string | undefined> {
  const started = await startKafka()
  if (started.kafka !== undefined) {
    const { kafka } = started
    afterAll(() => kafka.stop())
    return kafka.broker
  }
  const { why } = started
  test(`needs Kafka: ${why}`, ({ skip }) => refuse(skip, why))
  return undefined
}

/** A broker for one test that cannot do without, ended with it. */
export async function kafkaForTest(
  skip: (note: string) => unknown,
  options: StartKafkaOptions = {},
): Promise<TestKafka> {
  const started = await startKafka(options)
  if (started.kafka === undefined) return refuse(skip, started.why)
  const { kafka } = started
  onTestFinished(() => kafka.stop())
  return kafka
}
