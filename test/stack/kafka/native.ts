import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { cache, cachedFolder, maven } from '../cached-folder.ts'
import type { TestKafka } from '../kafka.ts'
import { NativeServer } from '../native-server.ts'
import { freePort } from '../ports.ts'

export interface NativeKafkaOptions {
  /** Adds a SASL_PLAINTEXT listener that knows this user, by PLAIN. */
  readonly sasl?: { readonly username: string; readonly password: string }
  /** Adds a TLS listener with this key store (PKCS12). */
  readonly tls?: { readonly keystore: string; readonly password: string }
  readonly config?: Readonly<Record<string, string | number | boolean>>
}

const here = import.meta.dirname
const jars = join(cache, 'kafka-jars')
const log4j = `-Dlog4j2.configurationFile=${join(here, 'log4j2.properties')}`
const jvm = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Djava.awt.headless=true', log4j]
const attemptsMax = 3

/** What this machine lacks for a broker of its own; undefined when it lacks nothing. */
export function missingForNativeKafka(): string | undefined {
  const java = spawnSync('java', ['-version'])
  if (java.status !== 0) return 'no `java` (17 or newer), no container engine, TEST_KAFKA not set'
  if (existsSync(jars)) return undefined
  return spawnSync('mvn', ['-v']).status === 0
    ? undefined
    : 'no `mvn` to fetch its jars with, no container engine, TEST_KAFKA not set'
}

/**
 * Apache Kafka (KRaft, one node) from Maven's jars, on free ports of 127.0.0.1. Its data lives in a
 * folder of its own until `stop`; it is killed when this process ends without one.
 */
export async function startNativeKafka(options: NativeKafkaOptions = {}): Promise<TestKafka> {
  await fetchJars()
  const folder = mkdtempSync(join(tmpdir(), 'winnow-kafka-'))
  for (let attempt = 1; ; attempt++) {
    const ports = { plain: await freePort(), sasl: await freePort(), tls: await freePort() }
    try {
      return await new KafkaServer(folder, ports, options).start()
    } catch (error) {
      // A port that was free may be taken before the broker binds it.
      const isTaken = /Address already in use|BindException/i.test(String(error))
      if (isTaken && attempt < attemptsMax) continue
      rmSync(folder, { recursive: true, force: true })
      throw error
    }
  }
}

interface Ports {
  readonly plain: number
  readonly sasl: number
  readonly tls: number
}

class KafkaServer {
  readonly #folder: string
  readonly #ports: Ports
  readonly #options: NativeKafkaOptions
  readonly #server: NativeServer

  constructor(folder: string, ports: Ports, options: NativeKafkaOptions) {
    this.#folder = folder
    this.#ports = ports
    this.#options = options
    this.#server = new NativeServer({
      name: 'Kafka',
      folder,
      command: () => this.#command(),
      isReady: output => output.includes('Kafka Server started'),
    })
  }

  async start(): Promise<TestKafka> {
    await this.#server.start()
    const at = (port: number): string => `127.0.0.1:${port}`
    return {
      url: `kafka://${at(this.#ports.plain)}`,
      broker: at(this.#ports.plain),
      saslBroker: this.#options.sasl && at(this.#ports.sasl),
      tlsBroker: this.#options.tls && at(this.#ports.tls),
      kill9: () => this.#server.kill9(),
      restart: () => this.#server.start(),
      stop: () => this.#server.stop(),
    }
  }

  async #command(): Promise<string[]> {
    const properties = join(this.#folder, 'server.properties')
    writeFileSync(properties, await this.#properties())
    if (!existsSync(join(this.#folder, 'data', 'meta.properties'))) format(properties)
    return ['java', '-Xmx512m', ...jvm, '-cp', join(jars, '*'), 'kafka.Kafka', properties]
  }

  async #properties(): Promise<string> {
    const { sasl, tls, config } = this.#options
    const controller = await freePort()
    const listeners = [
      `PLAINTEXT://127.0.0.1:${this.#ports.plain}`,
      ...(sasl ? [`SASL_PLAINTEXT://127.0.0.1:${this.#ports.sasl}`] : []),
      ...(tls ? [`SSL://127.0.0.1:${this.#ports.tls}`] : []),
    ]
    const all = {
      'process.roles': 'broker,controller',
      'node.id': 1,
      // Static voters: the controller's port may be another one at the next start.
      'controller.quorum.voters': `1@127.0.0.1:${controller}`,
      listeners: [...listeners, `CONTROLLER://127.0.0.1:${controller}`].join(','),
      'advertised.listeners': listeners.join(','),
      'listener.security.protocol.map':
        'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL',
      'controller.listener.names': 'CONTROLLER',
      'inter.broker.listener.name': 'PLAINTEXT',
      'log.dirs': join(this.#folder, 'data'),
      ...testSettings,
      ...(sasl && saslSettings(sasl)),
      ...(tls && tlsSettings(tls)),
      ...config,
    }
    return Object.entries(all)
      .map(([key, value]) => `${key}=${value}\n`)
      .join('')
  }
}

/** Small and quick where Kafka's defaults are for clusters. */
const testSettings = {
  'auto.create.topics.enable': false,
  // Else the first join of every group waits three seconds.
  'group.initial.rebalance.delay.ms': 0,
  'offsets.topic.replication.factor': 1,
  'offsets.topic.num.partitions': 4,
  'transaction.state.log.replication.factor': 1,
  'transaction.state.log.min.isr': 1,
  'transaction.state.log.num.partitions': 1,
  'share.coordinator.state.topic.replication.factor': 1,
  'share.coordinator.state.topic.min.isr': 1,
  'share.coordinator.state.topic.num.partitions': 1,
  // 128 MiB of heap otherwise.
  'log.cleaner.dedupe.buffer.size': 4 * 1024 * 1024,
  'log.cleaner.backoff.ms': 200,
  // A restart after a kill waits until the dead registration has expired: 9 s otherwise.
  'broker.session.timeout.ms': 1500,
  'broker.heartbeat.interval.ms': 300,
  'num.network.threads': 2,
  'num.io.threads': 4,
}

function saslSettings(user: { readonly username: string; readonly password: string }): object {
  const { username, password } = user
  return {
    'sasl.enabled.mechanisms': 'PLAIN',
    'listener.name.sasl_plaintext.plain.sasl.jaas.config':
      'org.apache.kafka.common.security.plain.PlainLoginModule required ' +
      `username="${username}" password="${password}" user_${username}="${password}";`,
  }
}

function tlsSettings(tls: { readonly keystore: string; readonly password: string }): object {
  return {
    'ssl.keystore.location': tls.keystore,
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.password': tls.password,
    'ssl.key.password': tls.password,
  }
}

function format(properties: string): void {
  // A leading '-' would read as an option: one start in 64 would fail.
  const id = randomBytes(16).toString('base64url').replace(/^-/, 'A')
  const tool = ['kafka.tools.StorageTool', 'format', '-t', id, '-c', properties]
  const done = spawnSync('java', ['-Xmx128m', ...jvm, '-cp', join(jars, '*'), ...tool], {
    encoding: 'utf8',
  })
  if (done.status !== 0) throw new Error(`formatting failed:\n${done.stdout}${done.stderr}`)
}

function fetchJars(folder = jars, pom = 'pom.xml'): Promise<string> {
  return cachedFolder(basename(folder), async target => {
    const where = [`-DoutputDirectory=${target}`, '-DincludeScope=runtime']
    await maven('-f', join(here, pom), 'dependency:copy-dependencies', ...where)
  })
}

const toolJars = join(cache, 'kafka-tools')
const tools: Readonly<Record<string, string>> = {
  'kafka-topics.sh': 'org.apache.kafka.tools.TopicCommand',
  'kafka-acls.sh': 'org.apache.kafka.tools.AclCommand',
}

/** Runs a line for a shell that begins with one of Kafka's own tools, as its script would. */
export async function runKafkaTool(line: string): Promise<void> {
  await fetchJars()
  await fetchJars(toolJars, 'tools-pom.xml')
  const [script = '', ...args] = line.split(' ')
  const main = tools[script]
  if (main === undefined) throw new Error(`${script} is none of Kafka's tools`)
  const path = [toolJars, jars].map(folder => join(folder, '*')).join(':')
  await promisify(execFile)('java', ['-Xmx128m', ...jvm, '-cp', path, main, ...args])
}

/** Kafka's own hash of keys, by a JVM on its jars; undefined where there are no jars or no compiler. */
export async function javaMurmur2(keys: readonly Uint8Array[]): Promise<number[] | undefined> {
  if (missingForNativeKafka() !== undefined) return undefined
  if (spawnSync('javac', ['-version']).status !== 0) return undefined
  await fetchJars()
  const folder = mkdtempSync(join(tmpdir(), 'winnow-murmur2-'))
  try {
    const source = join(folder, 'Murmur2.java')
    writeFileSync(
      source,
      `public class Murmur2 {
        public static void main(String[] keys) {
          for (String key : keys) System.out.println(
            org.apache.kafka.common.utils.Utils.murmur2(java.util.HexFormat.of().parseHex(key)));
        }
      }`,
    )
    const hex = keys.map(key => Buffer.from(key).toString('hex'))
    const output = execFileSync('java', ['-cp', join(jars, '*'), source, ...hex]).toString()
    return output.trim().split('\n').map(Number)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
