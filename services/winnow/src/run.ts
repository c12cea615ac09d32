import { readFileSync } from 'node:fs'
import process from 'node:process'
import { CommandEnd, exitCode } from './exit-codes.ts'
import { Pipeline } from './pipeline.ts'
import { tokenKeysWarning, unknownTenantsWarning } from './privacy-warnings.ts'
import { beyondLoopback, type Config, hasKeys, loadConfig } from './program-config.ts'
import { type Addresses, type StageName, stageNames } from './stages/stage.ts'

export interface RunOptions extends Addresses {
  readonly data?: string
  readonly config?: string
  readonly json?: boolean
  readonly insecure?: boolean
}

export interface UpOptions extends RunOptions {
  readonly demo?: boolean
  readonly exit?: boolean
}

/** `winnow up`: all stages, until SIGTERM or SIGINT, or until the demo has ended. */
export async function up(options: UpOptions): Promise<void> {
  if (options.exit && !options.demo) {
    throw new CommandEnd(exitCode.usage, '--exit ends after the demo: add --demo')
  }
  const demo = options.demo ? await import('./demo/demo.ts') : undefined
  const config = configOf(options, demo?.shortWaits)
  if (options.demo && (hasKeys(config) || config.tls.certFile !== undefined)) {
    const message = '--demo sends without a key and in plain text: leave out keys, keysFile and tls'
    throw new CommandEnd(exitCode.usage, message)
  }
  await run(config, stageNames, options, async ({ pipeline, ended }) => {
    if (demo !== undefined) {
      const output = {
        say: (text: string) => process.stdout.write(text),
        progress: (text: string) => process.stderr.write(text),
        color: process.stdout.hasColors?.() === true,
      }
      // Every stage runs here, so every address is known.
      const addresses = pipeline.addresses as Required<Addresses>
      await Promise.race([demo.runDemo(addresses, output), ended])
    }
    if (!options.exit) await ended
  })
}

/** `winnow receiver` and the others: one stage, until SIGTERM or SIGINT. */
export async function runStage(name: StageName, options: RunOptions): Promise<void> {
  const config = configOf(options)
  await run(config, [name], { ...options, target: name }, ({ ended }) => ended)
}

function configOf(options: RunOptions, defaults: Readonly<Record<string, string>> = {}): Config {
  return loadConfig({
    ...(options.config !== undefined && { file: options.config }),
    env: { ...defaults, ...process.env },
    options: {
      data: options.data,
      otlpGrpc: options.otlpGrpc,
      otlpHttp: options.otlpHttp,
      api: options.api,
      metrics: options.metrics,
      insecure: options.insecure ? 'true' : undefined,
    },
    readFile: path => readFileSync(path, 'utf8'),
  })
}

/** Says at every start what other machines may do here without a key, or read on the way. */
function warnOfStrangers(config: Config): void {
  const open = beyondLoopback(config).map(name => `${name} ${config[name].host}`)
  if (open.length === 0) return
  const where = open.join(', ')
  if (!hasKeys(config)) {
    process.stderr.write(
      `winnow: INSECURE: ${where}: whoever reaches this machine can send and read everything, because there are no keys; set keys or keysFile\n`,
    )
  } else if (config.tls.certFile === undefined) {
    process.stderr.write(
      `winnow: ${where}: keys and data travel unencrypted; set tls.certFile and tls.keyFile, or let a proxy end TLS\n`,
    )
  }
}

/** Says once, at the start, what of redaction is most likely not meant so, in those that have to do with it. */
function warnOfPrivacy(config: Config, names: readonly StageName[]): void {
  const has = (...some: StageName[]): boolean => some.some(name => names.includes(name))
  // All in one process share its data folder.
  const isOne = names.length === stageNames.length
  const warnings = [
    !isOne && has('receiver', 'writer', 'query') ? tokenKeysWarning(config) : undefined,
    has('receiver', 'query') ? unknownTenantsWarning(config) : undefined,
  ]
  for (const one of warnings) {
    if (one === undefined) continue
    process.stderr.write(`winnow: ${one.code}: ${one.key}: ${one.found}; ${one.remedy}\n`)
  }
}

/** Starts, does `work`, and stops. `ended` resolves on a signal and rejects when a stage cannot go on. */
async function run(
  config: Config,
  names: readonly StageName[],
  options: RunOptions & { readonly target?: StageName },
  work: (running: { readonly pipeline: Pipeline; readonly ended: Promise<void> }) => Promise<void>,
): Promise<void> {
  const pipeline = new Pipeline(config, names)
  warnOfStrangers(config)
  warnOfPrivacy(config, names)
  const told = signal()
  // A broker may be waited for; a signal ends that too. What has started so far took nothing in.
  const started = pipeline.start().then(() => true)
  if (!(await Promise.race([started, told.then(() => false)]))) return
  try {
    announce(pipeline.addresses, options, config.tls.certFile !== undefined)
    await work({ pipeline, ended: Promise.race([told, pipeline.failed]) })
  } finally {
    await pipeline.stop()
  }
}

function announce(
  addresses: Addresses,
  { json, target }: RunOptions & { readonly target?: StageName },
  isSecure: boolean,
): void {
  const scheme = isSecure ? 'https' : 'http'
  if (json) {
    const line = { ready: true, ...(target !== undefined && { target }), ...addresses }
    process.stdout.write(`${JSON.stringify(line)}\n`)
    return
  }
  const { otlpGrpc, otlpHttp, api, metrics } = addresses
  const places = [
    otlpGrpc && `OTLP gRPC ${otlpGrpc}`,
    otlpHttp && `OTLP HTTP ${otlpHttp}`,
    api && `API ${scheme}://${api}`,
    `metrics ${scheme}://${metrics}/metrics`,
  ]
  const who = target === undefined ? 'winnow' : `winnow ${target}`
  process.stderr.write(`${who} is ready: ${places.filter(Boolean).join(', ')}\n`)
}

function signal(): Promise<void> {
  return new Promise(resolve => {
    process.once('SIGTERM', () => resolve())
    process.once('SIGINT', () => resolve())
  })
}
