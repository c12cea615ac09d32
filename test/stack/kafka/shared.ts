import { type StartKafkaOptions, startKafka, type TestKafka } from '../kafka.ts'
import { forTest, shared } from '../shared-server.ts'

/** The address of one broker for the tests of a file, as `shared` has it. */
export async function sharedKafka(): Promise<string | undefined> {
  return shared('Kafka', await startKafka())?.broker
}

/** A broker for one test that cannot do without, ended with it. */
export async function kafkaForTest(
  skip: (note: string) => unknown,
  options: StartKafkaOptions = {},
): Promise<TestKafka> {
  return forTest(skip, await startKafka(options))
}
