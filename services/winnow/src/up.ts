import { readFileSync } from 'node:fs'
import process from 'node:process'
import { CommandEnd, exitCode } from './exit-codes.ts'
import { Pipeline } from './pipeline.ts'
import { loadConfig } from './program-config.ts'

export interface UpOptions {
  readonly data?: string
  readonly config?: string
  readonly otlpGrpc?: string
  readonly otlpHttp?: string
  readonly api?: string
  readonly metrics?: string
  readonly demo?: boolean
  readonly exit?: boolean
  readonly json?: boolean
}

/** `winnow up`: runs until SIGTERM or SIGINT, or until its demo has ended. */
export async function up(options: UpOptions): Promise<void> {
  if (options.exit && !options.demo) {
    throw new CommandEnd(exitCode.usage, '--exit ends after the demo: add --demo')
  }
  const demo = options.demo ? await import('./demo/demo.ts') : undefined
  const config = loadConfig({
    ...(options.config !== undefined && { file: options.config }),
    env: { ...demo?.shortWaits, ...process.env },
    options: {
      data: options.data,
      otlpGrpc: options.otlpGrpc,
      otlpHttp: options.otlpHttp,
      api: options.api,
      metrics: options.metrics,
    },
    readFile: path => readFileSync(path, 'utf8'),
  })
  const ended = signal()
  const pipeline = new Pipeline(config)
  // A broker may be waited for; a signal ends that too. What has started so far took nothing in.
  const started = pipeline.start().then(() => true)
  if (!(await Promise.race([started, ended.then(() => false)]))) return
  try {
    announce(pipeline, options.json === true)
    if (demo !== undefined) {
      const output = {
        say: (text: string) => process.stdout.write(text),
        progress: (text: string) => process.stderr.write(text),
        color: process.stdout.isTTY,
      }
      await Promise.race([demo.runDemo(pipeline.addresses, output), pipeline.failed, ended])
    }
    if (!options.exit) await Promise.race([ended, pipeline.failed])
  } finally {
    await pipeline.stop()
  }
}

function announce(pipeline: Pipeline, json: boolean): void {
  const { otlpGrpc, otlpHttp, api, metrics } = pipeline.addresses
  if (json) {
    process.stdout.write(`${JSON.stringify({ ready: true, otlpGrpc, otlpHttp, api, metrics })}\n`)
    return
  }
  process.stderr.write(
    `winnow is ready: OTLP gRPC ${otlpGrpc}, OTLP HTTP ${otlpHttp}, API http://${api}, metrics http://${metrics}/metrics\n`,
  )
}

function signal(): Promise<void> {
  return new Promise(resolve => {
    process.once('SIGTERM', () => resolve())
    process.once('SIGINT', () => resolve())
  })
}
