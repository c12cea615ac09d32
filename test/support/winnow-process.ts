import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'

export const program = programIn(resolve(import.meta.dirname, '../..'))

function programIn(root: string): string {
  return resolve(root, 'services/winnow/bin/winnow.mjs')
}

/** Waits that a test can sit through. 2 × quiet still exceeds what an entry span's parent is late by. */
export const shortWaits: Readonly<Record<string, string>> = {
  WINNOW_ASSEMBLER_QUIET: '800ms',
  WINNOW_ASSEMBLER_ROOTLESS: '2s',
  WINNOW_ASSEMBLER_OPEN_MAX: '5s',
  WINNOW_ASSEMBLER_CLOCK_SLACK: '200ms',
  WINNOW_WRITER_SEGMENT_AGE: '1s',
}

/** Of a machine on which others listen too. */
export const freePorts: Readonly<Record<string, string>> = {
  WINNOW_API: '127.0.0.1:0',
  WINNOW_METRICS: '127.0.0.1:0',
  WINNOW_OTLP_GRPC: '127.0.0.1:0',
  WINNOW_OTLP_HTTP: '127.0.0.1:0',
}

export interface RunResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command of the program to its end. */
export async function winnow(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RunResult> {
  const child = spawn(process.execPath, [program, ...args], { env: { ...process.env, ...env } })
  const output = collect(child)
  const [code] = (await once(child, 'exit')) as [number | null]
  return { code, ...output }
}

/** A process of the program that runs until it is told to end. */
export interface RunningProcess {
  readonly pid: number
  readonly stderr: () => string
  /** The exit code; null where a signal ended it. */
  readonly exited: Promise<number | null>
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>
  kill9(): Promise<void>
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
}

export interface RunningTarget extends RunningProcess {
  readonly metrics: string
  /** Of the targets that listen there. */
  readonly otlpGrpc?: string
  readonly otlpHttp?: string
  readonly api?: string
}

export interface RunningWinnow extends Required<RunningTarget> {
  readonly data: string
  /** Removes the data folder. */
  clean(): void
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  readonly data?: string
  /** Another tree of the program than this one. */
  readonly root?: string
  /** Options of Node itself, as `--import`. */
  readonly nodeArgs?: readonly string[]
}

const readyMs = 60_000

/** `winnow up` as a process of its own, on free ports, in a folder that is new unless `data` is given. */
export async function startWinnow(options: StartOptions = {}): Promise<RunningWinnow> {
  const data = options.data ?? mkdtempSync(join(tmpdir(), 'winnow-test-'))
  const listens = ['--otlp-grpc', '--otlp-http', '--api']
  const running = await start('up', listens, { ...options, data })
  return {
    ...(running as Required<RunningTarget>),
    data,
    clean: () => rmSync(data, { recursive: true, force: true }),
  }
}

const listensOf = {
  receiver: ['--otlp-grpc', '--otlp-http'],
  assembler: [],
  sampler: [],
  writer: [],
  query: ['--api'],
} as const

export type TargetName = keyof typeof listensOf

/** One stage as a process of its own, on free ports. `env` names the bus. */
export function startTarget(
  name: TargetName,
  options: StartOptions & { readonly data: string },
): Promise<RunningTarget> {
  return start(name, listensOf[name], options)
}

async function start(
  command: string,
  listens: readonly string[],
  options: StartOptions & { readonly data: string },
): Promise<RunningTarget> {
  const ports = [...listens, '--metrics'].flatMap(name => [name, '127.0.0.1:0'])
  const { nodeArgs = [], args = [], env, data, root } = options
  const started = root === undefined ? program : programIn(root)
  const child = spawn(
    process.execPath,
    [...nodeArgs, started, command, '--json', '--data', data, ...ports, ...args],
    { env: { ...process.env, ...shortWaits, ...env } },
  )
  const output = collect(child)
  const reap = (): boolean => child.kill('SIGKILL')
  process.once('exit', reap)
  const exited = once(child, 'exit').then(([code]) => {
    process.off('exit', reap)
    return code as number | null
  })
  const ready = await Promise.race([readyLine(output), exited])
  if (typeof ready !== 'object' || ready === null) {
    throw new Error(`winnow ${command} ended with ${ready}:\n${output.stderr}`)
  }
  return {
    ...ready,
    pid: child.pid ?? 0,
    stderr: () => output.stderr,
    exited,
    stop: () => {
      child.kill('SIGTERM')
      return exited
    },
    kill9: async () => {
      child.kill('SIGKILL')
      await exited
    },
    signal: signal => child.kill(signal),
  }
}

type Ready = Pick<RunningTarget, 'otlpGrpc' | 'otlpHttp' | 'api' | 'metrics'>

async function readyLine(output: {
  readonly stdout: string
  readonly stderr: string
}): Promise<Ready> {
  for (let waitedMs = 0; waitedMs < readyMs; waitedMs += 50) {
    const line = output.stdout.split('\n').find(text => text.startsWith('{"ready":true'))
    if (line !== undefined) return JSON.parse(line) as Ready
    await sleep(50)
  }
  throw new Error(`not ready after ${readyMs} ms:\n${output.stderr}`)
}

function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' }
  child.stdout?.on('data', chunk => {
    output.stdout += chunk
  })
  child.stderr?.on('data', chunk => {
    output.stderr += chunk
  })
  return output
}
