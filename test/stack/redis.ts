import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { NativeServer } from './native-server.ts'
import { freePort } from './ports.ts'
import type { Started } from './shared-server.ts'

/** A running Redis. Whoever started it ends it; one that `TEST_REDIS` names is left running. */
export interface TestRedis {
  /** `redis://host:port`, as `WINNOW_BUFFER` takes it. */
  readonly url: string
  readonly port: number
  /** Without a farewell; nothing of its memory is kept. */
  kill9(): Promise<void>
  /** On the same address, after `kill9`; empty. */
  restart(): Promise<void>
  /** It hangs: connections stay, and nothing is answered, until `resume`. */
  hang(): void
  resume(): void
  stop(): Promise<void>
}

/** Paths of PEM files, as `test/stack/redis/certificates.ts` makes them. */
export interface RedisTlsFiles {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export interface StartRedisOptions {
  /** One of its own, which the test may kill and fill: never the one that `TEST_REDIS` names. */
  readonly fresh?: boolean
  /** As `8mb`. */
  readonly maxmemory?: string
  readonly policy?: 'noeviction' | 'allkeys-lru'
  readonly password?: string
  /** Its only port then speaks TLS, and asks clients for a certificate. */
  readonly tls?: RedisTlsFiles
  /** Further options of the command line, as `['--appendonly', 'yes']`. */
  readonly args?: readonly string[]
}

/**
 * A real Redis: the one that `TEST_REDIS` names, else a process of Debian's redis-server. Undefined: there
 * is none here, and `why` says what is missing.
 */
export async function startRedis(options: StartRedisOptions = {}): Promise<Started<TestRedis>> {
  const { fresh, ...own } = options
  const named = process.env.TEST_REDIS
  if (named !== undefined && !fresh && Object.keys(own).length === 0) {
    return { server: namedRedis(named) }
  }
  const why = missingForRedis()
  return why === undefined ? { server: await startNativeRedis(options) } : { why }
}

/** What this machine lacks for a Redis of its own; undefined when it lacks nothing. */
export function missingForRedis(): string | undefined {
  return spawnSync('redis-server', ['--version']).status === 0
    ? undefined
    : 'no `redis-server`, TEST_REDIS not set'
}

function namedRedis(named: string): TestRedis {
  const address = named.replace(/^redis:\/\//, '')
  const notOurs = (): never => {
    throw new Error('the Redis of TEST_REDIS is not ours to stop: start one with `fresh: true`')
  }
  return {
    url: `redis://${address}`,
    port: Number(address.split(':').at(-1)),
    kill9: async () => notOurs(),
    restart: async () => notOurs(),
    hang: notOurs,
    resume: notOurs,
    stop: async () => {},
  }
}

const attemptsMax = 3

/** In memory alone, on a free port of 127.0.0.1. */
export async function startNativeRedis(options: StartRedisOptions = {}): Promise<TestRedis> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const folder = mkdtempSync(join(tmpdir(), 'winnow-redis-'))
    const server = new NativeServer({
      name: 'Redis',
      folder,
      command: async () => ['redis-server', ...settings(port, folder, options)],
      isReady: output => output.includes('Ready to accept connections'),
    })
    try {
      await server.start()
    } catch (error) {
      rmSync(folder, { recursive: true, force: true })
      // A port that was free may be taken before the server binds it.
      if (/Address already in use/.test(String(error)) && attempt < attemptsMax) continue
      throw error
    }
    const signal = (name: 'SIGSTOP' | 'SIGCONT'): void => {
      if (server.pid !== undefined) process.kill(server.pid, name)
    }
    return {
      url: `redis://127.0.0.1:${port}`,
      port,
      kill9: () => server.kill9(),
      restart: () => server.start(),
      hang: () => signal('SIGSTOP'),
      resume: () => signal('SIGCONT'),
      stop: async () => {
        signal('SIGCONT')
        await server.stop()
      },
    }
  }
}

function settings(
  port: number,
  folder: string,
  { maxmemory = '512mb', policy = 'noeviction', password, tls, args = [] }: StartRedisOptions,
): string[] {
  return [
    ...['--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'],
    ...['--maxmemory', maxmemory, '--maxmemory-policy', policy],
    ...(tls === undefined ? ['--port', `${port}`] : tlsSettings(port, tls)),
    ...(password === undefined ? [] : ['--requirepass', password]),
    ...args,
  ]
}

function tlsSettings(port: number, { ca, cert, key }: RedisTlsFiles): string[] {
  return [
    ...['--port', '0', '--tls-port', `${port}`, '--tls-auth-clients', 'yes'],
    ...['--tls-ca-cert-file', ca, '--tls-cert-file', cert, '--tls-key-file', key],
  ]
}
