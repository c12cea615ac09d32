import { Buffer } from 'node:buffer'
import process from 'node:process'
import type { TestKafka } from '../kafka.ts'
import { freePort } from '../ports.ts'

const image = process.env.TEST_KAFKA_IMAGE ?? 'apache/kafka:4.1.0'

/**
 * One broker in a container, or undefined where no container engine answers. Its port is the same
 * outside and inside, because clients are sent to the address that the broker advertises.
 */
export async function startContainerKafka(): Promise<TestKafka | undefined> {
  const { GenericContainer, getContainerRuntimeClient, Wait } = await import('testcontainers')
  const engine = await getContainerRuntimeClient().catch(() => undefined)
  if (engine === undefined) return undefined
  const port = await freePort()
  const broker = `127.0.0.1:${port}`
  const starting = new GenericContainer(image)
    .withExposedPorts({ container: port, host: port })
    .withEnvironment(environment(port))
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .withStartupTimeout(120_000)
    .start()
  // An engine that cannot fetch the image is as good as none.
  const container = await starting.catch(() => undefined)
  if (container === undefined) return undefined
  const engineContainer = engine.container.getById(container.getId())
  return {
    url: `kafka://${broker}`,
    broker,
    saslBroker: undefined,
    tlsBroker: undefined,
    kill9: async () => {
      await engineContainer.kill({ signal: 'SIGKILL' })
    },
    restart: async () => {
      const since = Math.floor(Date.now() / 1000)
      await engineContainer.start()
      const logs = (): Promise<unknown> =>
        engineContainer.logs({ stdout: true, stderr: true, since, follow: false })
      while (!Buffer.from(String(await logs())).includes('Kafka Server started')) {
        await new Promise(resolve => setTimeout(resolve, 200))
      }
    },
    stop: async () => {
      await container.stop()
    },
  }
}

/** One node in both roles; the settings that tests need are those of the native broker. */
function environment(port: number): Record<string, string> {
  return {
    KAFKA_NODE_ID: '1',
    KAFKA_PROCESS_ROLES: 'broker,controller',
    KAFKA_LISTENERS: `PLAINTEXT://0.0.0.0:${port},CONTROLLER://127.0.0.1:${port + 1}`,
    KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://127.0.0.1:${port}`,
    KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
    KAFKA_CONTROLLER_QUORUM_VOTERS: `1@127.0.0.1:${port + 1}`,
    KAFKA_INTER_BROKER_LISTENER_NAME: 'PLAINTEXT',
    KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
    KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
    KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
    KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS: '4',
    KAFKA_BROKER_SESSION_TIMEOUT_MS: '3000',
    KAFKA_BROKER_HEARTBEAT_INTERVAL_MS: '500',
  }
}
