import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bus, FileBus, KafkaBus, type TopicSpec, topicSpecs } from '@winnow/bus'
import { systemClock } from '@winnow/runtime'
import type { BlobStore } from '@winnow/storage'
import { openBlobStore } from '../../services/winnow/src/open-stores.ts'
import { loadConfig } from '../../services/winnow/src/program-config.ts'
import { freePort } from '../stack/ports.ts'
import { keyOf, tenants } from '../support/pipeline-harness.ts'
import {
  type RunningTarget,
  type StartOptions,
  startTarget,
  startWinnow,
  type TargetName,
} from '../support/winnow-process.ts'
import type { Entrances } from './traffic.ts'

/** Processes of the program under test, each of which may be killed and started again by its name. */
export interface System {
  readonly kind: 'up' | 'targets'
  readonly names: readonly string[]
  readonly entrances: Entrances
  /** Holds what the processes keep on this machine. */
  readonly data: string
  readonly specs: Readonly<Record<'spans' | 'evidence' | 'decisions', TopicSpec>>
  running(name: string): RunningTarget
  start(name: string): Promise<void>
  /** SIGTERM to one, and its start as another build; its exit code. */
  replace(name: string, build: Build): Promise<number | null>
  /** SIGTERM to all, from the receiver on; their exit codes by name. */
  stop(): Promise<Readonly<Record<string, number | null>>>
  /** The bus, once all have stopped. Its caller closes it. */
  openBus(): Promise<Bus>
  /** The blob store that the processes write, for reading. */
  openBlobs(): Promise<BlobStore>
  /** Ends what still runs and removes the data. */
  remove(): Promise<void>
}

/** Which program a process is started as from now on. */
export interface Build {
  readonly root?: string
  readonly env?: Readonly<Record<string, string>>
}

export interface SystemOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly nodeArgs?: readonly string[]
  readonly data?: string
}

export const quietMs = 8_000
export const rootlessMs = 9_000

/** Quiet is long enough for more than a thousand open traces at a rate that a laptop sends beside. */
const waits: Readonly<Record<string, string>> = {
  WINNOW_ASSEMBLER_QUIET: `${quietMs}ms`,
  WINNOW_ASSEMBLER_ROOTLESS: `${rootlessMs}ms`,
  WINNOW_ASSEMBLER_OPEN_MAX: '15s',
  WINNOW_ASSEMBLER_CLOCK_SLACK: '2s',
  WINNOW_WRITER_SEGMENT_AGE: '2s',
  WINNOW_TOPICS_PARTITIONS: '6',
}

/** `winnow up` on files: one process, called `up`. */
export function upSystem(options: SystemOptions = {}): Promise<System> {
  return ProcessSystem.make('up', ['up'], 'file', 'winnow', options)
}

/** One stage a process on a broker; of those in `twice` a second one, called `<stage>-2`. */
export function targetsSystem(
  bus: string,
  prefix: string,
  options: SystemOptions & { readonly twice?: readonly TargetName[] } = {},
): Promise<System> {
  const stages = ['query', 'writer', 'sampler', 'assembler', 'receiver']
  const names = [...stages, ...(options.twice ?? []).map(name => `${name}-2`)]
  return ProcessSystem.make('targets', names, bus, prefix, options)
}

class ProcessSystem implements System {
  readonly kind: System['kind']
  readonly names: readonly string[]
  readonly entrances: Entrances
  readonly data: string
  readonly specs: ReturnType<typeof topicSpecs>
  readonly #bus: string
  readonly #options: SystemOptions
  readonly #running = new Map<string, RunningTarget>()
  readonly #builds = new Map<string, Build>()

  static async make(
    kind: System['kind'],
    names: readonly string[],
    bus: string,
    prefix: string,
    options: SystemOptions,
  ): Promise<System> {
    const address = async (): Promise<string> => `127.0.0.1:${await quietPort()}`
    const entrances = {
      otlpGrpc: await address(),
      otlpHttp: await address(),
      api: await address(),
    }
    const system = new ProcessSystem(kind, names, bus, prefix, entrances, options)
    try {
      for (const name of names) await system.start(name)
      return system
    } catch (error) {
      await system.remove()
      throw error
    }
  }

  private constructor(
    kind: System['kind'],
    names: readonly string[],
    bus: string,
    prefix: string,
    entrances: Entrances,
    options: SystemOptions,
  ) {
    this.kind = kind
    this.names = names
    this.entrances = entrances
    this.data = options.data ?? mkdtempSync(join(tmpdir(), 'winnow-crash-'))
    this.specs = specsOf(prefix)
    this.#bus = bus
    this.#options = {
      ...options,
      env: {
        ...waits,
        WINNOW_BUS: bus,
        WINNOW_TOPICS_PREFIX: prefix,
        // What was sent is compared with what is kept, byte by byte.
        WINNOW_PRIVACY_REDACT: 'false',
        ...options.env,
      },
    }
    writeFileSync(join(this.data, 'winnow.yaml'), configText())
  }

  running(name: string): RunningTarget {
    const running = this.#running.get(name)
    if (running === undefined) throw new Error(`${name} does not run`)
    return running
  }

  async start(name: string): Promise<void> {
    const stage = name.replace(/-2$/, '')
    const { otlpGrpc, otlpHttp, api } = this.entrances
    const listens: Readonly<Record<string, readonly string[]>> = {
      up: ['--otlp-grpc', otlpGrpc, '--otlp-http', otlpHttp, '--api', api],
      receiver: ['--otlp-grpc', otlpGrpc, '--otlp-http', otlpHttp],
      query: ['--api', api],
    }
    // A second one listens where it likes.
    const own = name === stage ? (listens[stage] ?? []) : []
    const { root, env } = this.#builds.get(name) ?? {}
    const options: StartOptions & { readonly data: string } = {
      ...this.#options,
      env: { ...this.#options.env, ...env },
      ...(root !== undefined && { root }),
      data: this.data,
      args: ['--config', join(this.data, 'winnow.yaml'), ...own],
    }
    const running =
      stage === 'up' ? await startWinnow(options) : await startTarget(stage as TargetName, options)
    this.#running.set(name, running)
  }

  async replace(name: string, build: Build): Promise<number | null> {
    const code = await this.running(name).stop()
    this.#builds.set(name, build)
    await this.start(name)
    return code
  }

  async stop(): Promise<Readonly<Record<string, number | null>>> {
    const codes: Record<string, number | null> = {}
    for (const [name, running] of [...this.#running].toReversed()) {
      codes[name] = await running.stop()
      this.#running.delete(name)
    }
    return codes
  }

  openBus(): Promise<Bus> {
    const specs = Object.values(this.specs)
    if (this.#bus === 'file') {
      return FileBus.open({ folder: join(this.data, 'bus'), specs, clock: systemClock })
    }
    const brokers = [this.#bus.slice('kafka://'.length)]
    return KafkaBus.open({ brokers, specs, clientId: 'crash-balance' })
  }

  openBlobs(): Promise<BlobStore> {
    const { env = {} } = this.#options
    const readFile = (path: string): string => readFileSync(path, 'utf8')
    const config = loadConfig({ env, options: { data: this.data }, readFile })
    return openBlobStore(config, { mayWrite: false })
  }

  async remove(): Promise<void> {
    for (const running of this.#running.values()) {
      running.signal('SIGCONT')
      await running.kill9()
    }
    this.#running.clear()
    rmSync(this.data, { recursive: true, force: true })
  }
}

export function specsOf(prefix: string): ReturnType<typeof topicSpecs> {
  return topicSpecs({ prefix, generation: 1, partitions: 6 })
}

/** SHA-256 of a key to its tenant. */
function keysOfTenants(): Map<string, string> {
  const hash = (tenant: string): string => createHash('sha256').update(keyOf(tenant)).digest('hex')
  return new Map(tenants.map(tenant => [hash(tenant), tenant]))
}

function configText(): string {
  const lines = Array.from(keysOfTenants(), ([key, tenant]) => `  ${key}: ${tenant}\n`)
  return `keys:\n${lines.join('')}`
}

/** Below the ports that outgoing connections take, so that it is still free after a restart. */
async function quietPort(): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const port = 12_000 + Math.floor(Math.random() * 18_000)
    if (await freePort(port).catch(() => undefined)) return port
  }
  throw new Error('there is no free port below 30000')
}
