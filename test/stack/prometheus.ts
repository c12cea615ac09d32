import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { NativeServer } from './native-server.ts'
import { freePort } from './ports.ts'

/** What the project ships for Prometheus. */
export const shipped = resolve(import.meta.dirname, '../../deploy/prometheus')

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A real Prometheus with the shipped configuration, which scrapes the processes of a test. */
export interface TestPrometheus {
  readonly url: string
  /** PromQL at this moment. Rejects with what Prometheus says is wrong with it. */
  query(expr: string): Promise<readonly Sample[]>
  /** Name, expression and state of health of every rule that it has loaded. */
  rules(): Promise<readonly LoadedRule[]>
  stop(): Promise<void>
}

export interface LoadedRule {
  readonly name: string
  readonly type: 'alerting' | 'recording'
  readonly query: string
  /** `ok` once evaluated without an error; `unknown` before. */
  readonly health: string
  readonly lastError?: string
}

/** Undefined, or what this machine lacks. */
export function missingForPrometheus(): string | undefined {
  const missing = ['prometheus', 'promtool'].filter(
    name => spawnSync(name, ['--version']).error !== undefined,
  )
  return missing.length === 0
    ? undefined
    : `needs ${missing.join(' and ')}: apt-get install prometheus`
}

/**
 * Runs on a copy of the shipped files, in which nothing but the targets and the pace is another: a test
 * cannot sit through intervals of 15 s.
 */
export async function startPrometheus(targets: readonly string[]): Promise<TestPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-prometheus-'))
  cpSync(shipped, folder, { recursive: true })
  writeFileSync(join(folder, 'targets.yaml'), JSON.stringify([{ targets }]))
  const file = join(folder, 'prometheus.yaml')
  for (const paced of [file, join(folder, 'alerts.yaml')]) {
    writeFileSync(
      paced,
      readFileSync(paced, 'utf8').replaceAll(/interval: (15s|1m)$/gm, 'interval: 1s'),
    )
  }
  let address = ''
  const server = new NativeServer({
    name: 'Prometheus',
    folder,
    command: async () => {
      address = `127.0.0.1:${await freePort()}`
      return [
        'prometheus',
        `--config.file=${file}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=${address}`,
      ]
    },
    isReady: async () => (await fetch(`http://${address}/-/ready`)).ok,
  })
  await server.start()
  const url = `http://${address}`
  return {
    url,
    query: expr => query(url, expr),
    rules: () => rules(url),
    stop: () => server.stop(),
  }
}

async function query(url: string, expr: string): Promise<readonly Sample[]> {
  const answer = await fetch(`${url}/api/v1/query`, {
    method: 'POST',
    body: new URLSearchParams({ query: expr }),
  })
  const body = (await answer.json()) as {
    readonly error?: string
    readonly data?: {
      readonly resultType: string
      readonly result: readonly {
        readonly metric: Record<string, string>
        readonly value: readonly [number, string]
      }[]
    }
  }
  if (body.data === undefined) throw new Error(`${expr}: ${body.error}`)
  return body.data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
}

async function rules(url: string): Promise<readonly LoadedRule[]> {
  const body = (await (await fetch(`${url}/api/v1/rules`)).json()) as {
    readonly data: { readonly groups: readonly { readonly rules: readonly LoadedRule[] }[] }
  }
  return body.data.groups.flatMap(group => group.rules)
}
