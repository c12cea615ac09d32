import { createWriteStream, existsSync, openSync, readFileSync, type WriteStream } from 'node:fs'
import process from 'node:process'
import { finished } from 'node:stream/promises'
import { topicSpecs } from '@winnow/bus'
import { createLog, rfc3339Ms, systemClock } from '@winnow/runtime'
import { type BacktestReport, backtest, type Flip, PolicyDesk, parsePolicy } from '@winnow/sampler'
import { commandConfig } from '../command-config.ts'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import { openBusForReading } from '../open-bus.ts'
import { openBlobStore } from '../open-stores.ts'
import type { Config } from '../program-config.ts'
import { ProgressLine } from '../progress-line.ts'
import { backtestText } from '../render/backtest-text.ts'
import { printableIn } from '../render/printable.ts'

export interface BacktestCommandOptions {
  readonly policy: string
  readonly since: string
  readonly until?: string
  readonly tenant?: string
  readonly knownBad?: string
  readonly flips?: string
  readonly maxShare?: string
  readonly data?: string
  readonly config?: string
  readonly json?: boolean
}

/** Ids in a file of known-bad traces. */
export const knownBadMax = 1_000_000

/** Reads the stores themselves, beside a running process too; nothing is changed. */
export async function backtestCommand(options: BacktestCommandOptions): Promise<void> {
  const config = commandConfig(options)
  const policy = parsePolicy(readText(options.policy), options.policy)
  const nowMs = systemClock.nowMs()
  const sinceMs = momentOf('--since', options.since, nowMs)
  const untilMs =
    options.until === undefined ? undefined : momentOf('--until', options.until, nowMs)
  checkWindow(options, sinceMs, untilMs ?? nowMs, nowMs)
  const maxShare = shareOf(options.maxShare)
  const knownBad = options.knownBad === undefined ? undefined : idsIn(options.knownBad)
  const flips = options.flips === undefined ? undefined : new FlipsFile(options.flips)
  const listed: Flip[] = []
  const progress = new ProgressLine()
  const report = await withStores(config, async ({ bus, blobs, topics }) => {
    const desk = new PolicyDesk({ bus, control: topics.control.name, clock: systemClock })
    return backtest({
      ...(await desk.decided()),
      bus,
      topic: topics.decisions.name,
      blobs,
      policy,
      sinceMs,
      ...(untilMs !== undefined && { untilMs }),
      ...(options.tenant !== undefined && { tenant: options.tenant }),
      ...(knownBad !== undefined && { knownBad }),
      onFlip: flip => {
        flips?.add(flip)
        if (listed.length < flipsListedMax) listed.push(flip)
      },
      onProgress: ({ decisions, segments, ofSegments }) =>
        progress.show(`${segments} of ${ofSegments} segments, ${decisions} decisions read`),
      nowMs: () => performance.now(),
    })
  })
  await flips?.end()
  if (report.decisions === 0) {
    const whose = options.tenant === undefined ? '' : ` of tenant ${options.tenant}`
    const remedy = 'on nothing every policy is right; choose another window'
    throw new CommandEnd(exitCode.usage, `nothing${whose} was decided in the window: ${remedy}`)
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ ...report, listedFlips: listed })}\n`)
  else process.stdout.write(`${backtestText(printableIn(report))}\n`)
  judge(report, maxShare)
}

/** Flips that `--json` lists; `--flips` has all of them. */
const flipsListedMax = 1_000

function judge({ knownBad, kept }: BacktestReport, maxShare: number): void {
  if (knownBad.lost > 0) {
    throw new CommandEnd(exitCode.no, `the policy loses ${knownBad.lost} known-bad traces`)
  }
  if (kept.after.share <= maxShare) return
  const share = `${(kept.after.share * 100).toFixed(2)} %`
  throw new CommandEnd(exitCode.no, `the policy keeps ${share}, more than --max-share ${maxShare}`)
}

async function withStores<T>(
  config: Config,
  work: (stores: {
    readonly bus: Awaited<ReturnType<typeof openBusForReading>>
    readonly blobs: Awaited<ReturnType<typeof openBlobStore>>
    readonly topics: ReturnType<typeof topicSpecs>
  }) => Promise<T>,
): Promise<T> {
  const topics = topicSpecs({ ...config.topics, retentionMs: config.retention })
  const log = createLog(systemClock)
  const bus = await openBusForReading(config, [topics.decisions, topics.control], log)
  try {
    const blobs = await openBlobStore(config, { mayWrite: false, log })
    try {
      return await work({ bus, blobs, topics })
    } finally {
      await blobs.close()
    }
  } finally {
    await bus.close()
  }
}

function checkWindow(
  { since, until }: BacktestCommandOptions,
  sinceMs: number,
  untilMs: number,
  nowMs: number,
): void {
  if (sinceMs >= nowMs) throw new CommandEnd(exitCode.usage, `--since "${since}" is yet to come`)
  if (sinceMs < untilMs) return
  throw new CommandEnd(
    exitCode.usage,
    `--until "${until}" is not after --since "${since}": exchange them`,
  )
}

/** A line of JSON a flip. */
class FlipsFile {
  readonly #path: string
  readonly #stream: WriteStream
  readonly #written: Promise<void>

  constructor(path: string) {
    this.#path = path
    try {
      this.#stream = createWriteStream(path, { fd: openSync(path, 'w') })
    } catch (cause) {
      throw this.#unwritable(cause as Error)
    }
    this.#written = finished(this.#stream)
    this.#written.catch(() => {})
  }

  add(flip: Flip): void {
    this.#stream.write(`${JSON.stringify(flip)}\n`)
  }

  async end(): Promise<void> {
    this.#stream.end()
    await this.#written.catch(cause => {
      throw this.#unwritable(cause)
    })
  }

  #unwritable({ message }: Error): CommandEnd {
    return new CommandEnd(exitCode.usage, `--flips ${this.#path} cannot be written: ${message}`)
  }
}

const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

function momentOf(option: string, text: string, nowMs: number): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  if (count !== undefined) return nowMs - Number(count) * units[unit as keyof typeof units]
  const at = rfc3339Ms(text)
  if (at !== undefined) return at
  throw new CommandEnd(
    exitCode.usage,
    `${option} "${text}" is no time; use 15m, 24h, 7d, or 2026-11-21T00:00:00Z`,
  )
}

function shareOf(text: string | undefined): number {
  if (text === undefined) return 1
  const share = Number(text)
  if (text.trim() !== '' && share >= 0 && share <= 1) return share
  throw new CommandEnd(exitCode.usage, `--max-share "${text}" is no share; give 0 to 1, as 0.15`)
}

function idsIn(file: string): ReadonlySet<string> {
  const ids = new Set<string>()
  readText(file)
    .split('\n')
    .forEach((line, at) => {
      const id = line.replace(/#.*$/, '').trim().toLowerCase()
      if (id === '') return
      if (!/^[0-9a-f]{32}$/.test(id)) {
        const where = `${file}:${at + 1}`
        throw new CommandEnd(
          exitCode.usage,
          `${where}: "${id.slice(0, 80)}" is no trace id of 32 hex digits`,
        )
      }
      ids.add(id)
    })
  if (ids.size === 0) {
    throw new CommandEnd(exitCode.usage, `${file} names no trace: of none nothing can be lost`)
  }
  if (ids.size > knownBadMax) {
    throw new CommandEnd(
      exitCode.usage,
      `${file} names ${ids.size} traces, more than ${knownBadMax}`,
    )
  }
  return ids
}

function readText(file: string): string {
  if (!existsSync(file)) throw new CommandEnd(exitCode.usage, `cannot read ${file}: no such file`)
  return readFileSync(file, 'utf8')
}
