import process from 'node:process'
import { afterAll, expect, test } from 'vitest'
import { startKafka } from '../kafka.ts'

/**
 * One broker for the tests of a file, ended after them. Undefined where none can be had: the file
 * then has one test, skipped with the reason, or failed under `WINNOW_NO_SKIP=1`.
 */
export async function sharedKafka(): Promise<string | undefined> {
  const started = await startKafka()
  if (started.kafka !== undefined) {
    const { kafka } = started
    afterAll(() => kafka.stop())
    return kafka.broker
  }
  test(`needs Kafka: ${started.why}`, ({ skip }) => {
    if (process.env.WINNOW_NO_SKIP === '1') expect.fail(started.why)
    skip(started.why)
  })
  return undefined
}
