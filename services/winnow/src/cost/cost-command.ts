import { existsSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { type CostReport, type Dimension, dimensions, measureCost } from '@winnow/cost'
import { systemClock } from '@winnow/runtime'
import { storedConfig } from '../command-config.ts'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import { openBlobStore, openHotStore } from '../open-stores.ts'
import type { Config } from '../program-config.ts'
import { ProgressLine } from '../progress-line.ts'
import { printableIn } from '../render/printable.ts'
import { costSettings } from './cost-settings.ts'
import { costText } from './cost-text.ts'

export interface CostOptions {
  readonly config?: string
  readonly data?: string
  readonly days?: string
  /** Names of dimensions, with commas. */
  readonly by?: string
  readonly compare?: boolean
  readonly json?: boolean
}

const daysDefault = 7

/** `winnow cost`: what is stored by the stores' own listings, and what a month of it costs. */
export async function costCommand(options: CostOptions): Promise<void> {
  const daysMax = Number(options.days ?? daysDefault)
  if (!(daysMax > 0 && daysMax <= 365)) {
    throw new CommandEnd(exitCode.usage, `--days is ${options.days}: give 1 to 365`)
  }
  const config = storedConfig(options)
  const { by, isBySpan } = dimensionsOf(options.by)
  const isCompared = options.compare === true
  const report = await measured(config, { daysMax, by, isBySpan, isCompared })
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : costText(printableIn(report)))
}

async function measured(
  config: Config,
  asked: {
    readonly daysMax: number
    readonly by: readonly Dimension[]
    readonly isBySpan: boolean
    readonly isCompared: boolean
  },
): Promise<CostReport> {
  const blobs = await openBlobStore(config, { mayWrite: false })
  const progress = new ProgressLine()
  let listed = 0
  try {
    return await measureCost(
      { blobs, hotBytes: () => bytesOfHot(config), settings: costSettings(config) },
      {
        ...asked,
        nowMs: systemClock.nowMs(),
        onListed: () => progress.show(`${++listed} objects listed`),
        onSegment: (read, of) => progress.show(`${read} of ${of} segments of the ledger read`),
        onSpans: (read, of) => progress.show(`${read} of ${of} segments of warm read`),
      },
    )
  } finally {
    await blobs.close()
  }
}

/** The ledger's dimensions, and the names of spans, which it does not know. */
function dimensionsOf(text = ''): { by: readonly Dimension[]; isBySpan: boolean } {
  const names = text.split(',').filter(name => name !== '')
  for (const name of names) {
    if (name === 'span' || Object.hasOwn(dimensions, name)) continue
    const known = [...Object.keys(dimensions), 'span'].join(', ')
    throw new CommandEnd(exitCode.usage, `--by "${name}" is none of ${known}`)
  }
  const by = names.filter(name => name !== 'span') as Dimension[]
  return { by, isBySpan: names.includes('span') }
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
