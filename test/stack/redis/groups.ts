// Redis in the two forms that have more than one server.

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { NativeServer } from '../native-server.ts'
import { freePort } from '../ports.ts'
import { startNativeRedis, type TestRedis } from '../redis.ts'

const run = promisify(execFile)

export interface TestRedisCluster {
  /** `redis+cluster://…` with all nodes. */
  readonly url: string
  readonly nodes: readonly TestRedis[]
  stop(): Promise<void>
}

/** Three primaries without replicas. */
export async function startRedisCluster(): Promise<TestRedisCluster> {
  const nodes: TestRedis[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map(node => node.stop()))
  }
  try {
    for (let node = 0; node < 3; node++) {
      // Else it is the port and 10,000 more, which may be none.
      const bus = ['--cluster-port', `${await freePort()}`, '--cluster-node-timeout', '2000']
      const args = ['--cluster-enabled', 'yes', '--cluster-require-full-coverage', 'no', ...bus]
      nodes.push(await startNativeRedis({ args }))
    }
    const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`)
    await run('redis-cli', ['--cluster', 'create', ...hosts, '--cluster-yes'])
    for (const { port } of nodes) await until(port, ['cluster', 'info'], /cluster_state:ok/)
    return { url: `redis+cluster://${hosts.join(',')}`, nodes, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

export interface TestRedisSentinel {
  /** `redis+sentinel://…/winnow`. */
  readonly url: string
  readonly primary: TestRedis
  readonly replica: TestRedis
  stop(): Promise<void>
}

/** A primary, a replica, and one sentinel, which alone decides within a second or two. */
export async function startRedisSentinel(): Promise<TestRedisSentinel> {
  const started: { stop(): Promise<void> }[] = []
  const stop = async (): Promise<void> => {
    for (const server of started.toReversed()) await server.stop()
  }
  try {
    const primary = await startNativeRedis()
    started.push(primary)
    const args = ['--replicaof', '127.0.0.1', `${primary.port}`, '--repl-diskless-sync-delay', '0']
    const replica = await startNativeRedis({ args })
    started.push(replica)
    await until(replica.port, ['info', 'replication'], /master_link_status:up/)
    const { port, sentinel } = await startSentinel(primary.port)
    started.push(sentinel)
    // It hears of the replica from the primary, and without one there is nothing to choose.
    await until(port, ['sentinel', 'replicas', 'winnow'], new RegExp(`${replica.port}`))
    return { url: `redis+sentinel://127.0.0.1:${port}/winnow`, primary, replica, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startSentinel(primaryPort: number) {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'winnow-sentinel-'))
  const file = join(folder, 'sentinel.conf')
  writeFileSync(
    file,
    `port ${port}
bind 127.0.0.1
dir ${folder}
sentinel monitor winnow 127.0.0.1 ${primaryPort} 1
sentinel down-after-milliseconds winnow 500
sentinel failover-timeout winnow 3000
`,
  )
  const sentinel = new NativeServer({
    name: 'Redis Sentinel',
    folder,
    command: async () => ['redis-server', file, '--sentinel'],
    isReady: output => output.includes('monitor master winnow'),
  })
  try {
    await sentinel.start()
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return { port, sentinel }
}

const waitMs = 60_000

/** Asks until the answer is `wanted`. */
export async function until(
  port: number,
  command: readonly string[],
  wanted: RegExp,
): Promise<void> {
  for (const untilMs = Date.now() + waitMs; ; ) {
    const answer = await redisCli(port, ...command).catch((error: unknown) => String(error))
    if (wanted.test(answer)) return
    if (Date.now() > untilMs) throw new Error(`redis-cli ${command.join(' ')}: ${answer}`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

export async function redisCli(port: number, ...command: readonly string[]): Promise<string> {
  const { stdout } = await run('redis-cli', ['-p', `${port}`, ...command])
  return stdout.trim()
}
