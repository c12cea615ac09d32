// The program under load: one process, or one for each stage.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningTarget, startTarget, startWinnow, type TargetName } from '../winnow-process.ts'

export interface Fleet {
  /** What is kept on this machine. */
  readonly data: string
  readonly otlpHttp: string
  readonly api: string
  /** By name, in flow order. The first one takes the spans in. */
  readonly processes: ReadonlyMap<string, RunningTarget>
  /** Where each shows its metrics. */
  readonly metrics: readonly string[]
  /** SIGTERM to each, from the receiver on: the first exit code that is not 0, or 0. */
  stop(): Promise<number | null>
  /** Ends what still runs and removes what was kept on this machine. */
  remove(): Promise<void>
}

export type Environment = Readonly<Record<string, string>>

/** `winnow up`. */
export async function upFleet(env: Environment): Promise<Fleet> {
  const winnow = await startWinnow({ env })
  const { otlpHttp, api } = winnow
  return fleetOf({ otlpHttp, api }, new Map([['up', winnow]]), winnow.data)
}

const stages = ['receiver', 'assembler', 'sampler', 'writer', 'query'] as const

/** A process for each stage; `env` names a bus that they share. */
export async function targetsFleet(env: Environment): Promise<Fleet> {
  const data = mkdtempSync(join(tmpdir(), 'winnow-load-data-'))
  const started = new Map<TargetName, RunningTarget>()
  try {
    for (const name of stages.toReversed()) {
      started.set(name, await startTarget(name, { data, env }))
    }
  } catch (error) {
    for (const target of started.values()) await target.kill9()
    rmSync(data, { recursive: true, force: true })
    throw error
  }
  const { otlpHttp = '' } = started.get('receiver') ?? {}
  const { api = '' } = started.get('query') ?? {}
  const processes = new Map(stages.map(name => [name, started.get(name) as RunningTarget]))
  return fleetOf({ otlpHttp, api }, processes, data)
}

function fleetOf(
  addresses: Pick<Fleet, 'otlpHttp' | 'api'>,
  processes: Fleet['processes'],
  data: string,
): Fleet {
  return {
    ...addresses,
    data,
    processes,
    metrics: Array.from(processes.values(), ({ metrics }) => metrics),
    stop: async () => {
      let worst: number | null = 0
      for (const running of processes.values()) {
        const code = await running.stop()
        if (worst === 0) worst = code
      }
      return worst
    },
    remove: async () => {
      for (const running of processes.values()) await running.kill9()
      rmSync(data, { recursive: true, force: true })
    },
  }
}
