import { existsSync } from 'node:fs'
import process from 'node:process'
import { startContainerKafka } from './kafka/container.ts'
import { missingForNativeKafka, type NativeKafkaOptions, startNativeKafka } from './kafka/native.ts'
import type { Started } from './shared-server.ts'

/** A running broker. Whoever started it ends it; a broker named by `TEST_KAFKA` is left running. */
export interface TestKafka {
  /** `kafka://host:port`, as `WINNOW_BUS` takes it. */
  readonly url: string
  /** `host:port` of the plain listener. */
  readonly broker: string
  /** Of the listeners asked for, else undefined. */
  readonly saslBroker: string | undefined
  readonly tlsBroker: string | undefined
  /** Ends the process without a farewell; what it had acknowledged stays on its disk. */
  kill9(): Promise<void>
  /** On the same address and data, after `kill9` or `stop`. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export interface StartKafkaOptions extends NativeKafkaOptions {
  /** A broker of its own, which the test may kill: never the one that `TEST_KAFKA` names. */
  readonly fresh?: boolean
}

/**
 * A real broker, for tests and for whoever else wants one: the one that `TEST_KAFKA` names, else a container where an engine answers, else a
 * process from Maven's jars. Undefined: none can be had here, and `why` says what is missing.
 */
export async function startKafka(options: StartKafkaOptions = {}): Promise<Started<TestKafka>> {
  const named = process.env.TEST_KAFKA
  const plain = options.sasl === undefined && options.tls === undefined
  if (named !== undefined && !options.fresh && plain) return { server: namedKafka(named) }
  if (plain && hasContainerEngine()) {
    const server = await startContainerKafka()
    if (server !== undefined) return { server }
  }
  const why = missingForNativeKafka()
  return why === undefined ? { server: await startNativeKafka(options) } : { why }
}

function namedKafka(named: string): TestKafka {
  const broker = named.replace(/^kafka:\/\//, '')
  const notOurs = async (): Promise<void> => {
    throw new Error('the broker of TEST_KAFKA is not ours to kill: start one with `fresh: true`')
  }
  return {
    url: `kafka://${broker}`,
    broker,
    saslBroker: undefined,
    tlsBroker: undefined,
    kill9: notOurs,
    restart: notOurs,
    stop: async () => {},
  }
}

/** Asking the engine takes seconds where there is none, so look for its socket first. */
function hasContainerEngine(): boolean {
  return process.env.DOCKER_HOST !== undefined || existsSync('/var/run/docker.sock')
}
