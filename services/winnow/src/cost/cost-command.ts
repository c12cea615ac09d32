import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { type CostLine, forecast, monthlyLines, totalOf } from '@winnow/cost'
import { systemClock } from '@winnow/runtime'
import { defaultHotLife } from '@winnow/storage'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import { openBlobStore, openHotStore } from '../open-stores.ts'
import { type Config, loadConfig } from '../program-config.ts'
import { costText } from './cost-text.ts'
import { measureStored, type Stored, type StoredFolder } from './stored.ts'

export interface CostOptions {
  readonly config?: string
  readonly data?: string
  readonly days?: string
  readonly json?: boolean
}

export interface CostReport {
  readonly v: 1
  readonly currency: 'USD'
  readonly stored: readonly StoredFolder[]
  /** What a day brings was measured over so many; 0: nothing is stored yet. */
  readonly measuredDays: number
  readonly flows: Stored['flows']
  /** Of a month in which every tier is full. */
  readonly lines: readonly CostLine[]
  readonly monthTotal: number
  readonly forecast: readonly { readonly day: number; readonly dollars: number }[]
}

/** Ends of tiers, and the year. */
const forecastDays = [1, 7, 30, 90, 365]
const daysDefault = 7
const dayMs = 86_400_000
/** Objects between two lines of progress: a page of a listing is 1,000. */
const progressEvery = 50_000

/** `winnow cost`: what is stored by the stores' own listings, and what a month of it costs. */
export async function costCommand(options: CostOptions): Promise<void> {
  const daysMax = Number(options.days ?? daysDefault)
  if (!(daysMax > 0 && daysMax <= 365)) {
    throw new CommandEnd(exitCode.usage, `--days is ${options.days}: give 1 to 365`)
  }
  const config = loadConfig({
    ...(options.config !== undefined && { file: options.config }),
    env: process.env,
    options: { data: options.data },
    readFile: path => readFileSync(path, 'utf8'),
  })
  const report = reportOf(await measure(config, daysMax), config)
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : costText(report))
}

export function reportOf({ folders, flows, measuredDays }: Stored, config: Config): CostReport {
  const lines = monthlyLines(flows, config.costs)
  return {
    v: 1,
    currency: 'USD',
    stored: folders,
    measuredDays,
    flows,
    lines,
    monthTotal: totalOf(lines),
    forecast: forecast(flows, config.costs, forecastDays),
  }
}

async function measure(config: Config, daysMax: number): Promise<Stored> {
  const { writer, sampler, topics, costs } = config
  const hotBytes = await bytesOfHot(config)
  const blobs = await openBlobStore(config, { mayWrite: false })
  try {
    let listed = 0
    return await measureStored(blobs, {
      hotBytes,
      livesMs: {
        hot: defaultHotLife.tracesMs,
        warm: writer.warmLife,
        cold: writer.coldLife,
        ledger: writer.ledgerLife,
      },
      snapshotsPerDay: (topics.partitions * dayMs) / sampler.snapshotEvery,
      segmentAgeMs: writer.segmentAge,
      objectMin: {
        warm: costs.warm.objectMin,
        cold: costs.cold.objectMin,
        ledger: costs.ledger.objectMin,
        index: costs.index.objectMin,
      },
      nowMs: systemClock.nowMs(),
      daysMax,
      onListed: () => {
        if (++listed % progressEvery === 0) console.error(`${listed} objects listed`)
      },
    })
  } finally {
    await blobs.close()
  }
}

async function bytesOfHot(config: Config): Promise<number> {
  // Opening it would make the folder.
  if (config.hot === 'sqlite' && !existsSync(join(config.data, 'hot'))) return 0
  const hot = await openHotStore(config, { mayWrite: false })
  try {
    return await hot.bytes()
  } finally {
    await hot.close()
  }
}
