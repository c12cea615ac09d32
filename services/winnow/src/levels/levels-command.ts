import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { decodeTraces, type TracesData, tracesFromJson } from '@winnow/otlp'
import { levelTable, overrideLevels } from '@winnow/privacy'
import { PipelineError } from '@winnow/runtime'
import { searchLimitMax } from '@winnow/storage'
import { commandConfig } from '../command-config.ts'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import { openHotStore } from '../open-stores.ts'
import type { Config } from '../program-config.ts'
import { printableIn } from '../render/printable.ts'
import { AttributeLevels } from './attribute-levels.ts'
import { levelsText, tableText } from './levels-text.ts'

export interface LevelsOptions {
  readonly config?: string
  readonly data?: string
  readonly tenant?: string
  readonly traces?: string
  readonly table?: boolean
  readonly json?: boolean
}

/** Traces of the hot store that are looked at when nobody says how many. */
const tracesDefault = 200

/** `winnow levels`: what every attribute that was seen is, and why; or the lists. */
export async function levelsCommand(
  files: readonly string[],
  options: LevelsOptions,
): Promise<void> {
  const config = commandConfig(options)
  overrideLevels(config.levels)
  if (options.table) {
    const rows = levelTable()
    process.stdout.write(options.json ? `${JSON.stringify(rows)}\n` : tableText(rows))
    return
  }
  const levels = new AttributeLevels()
  for (const file of files) levels.traces(tracesOf(file))
  if (files.length === 0) await lookIntoHot(config, options, levels)
  const report = levels.report()
  process.stdout.write(
    options.json ? `${JSON.stringify(report)}\n` : levelsText(printableIn(report)),
  )
  if (report.spans === 0) throw new CommandEnd(exitCode.no, '')
}

/** OTLP/JSON where the name says so, else protobuf. */
function tracesOf(file: string): TracesData {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (cause) {
    throw new CommandEnd(exitCode.usage, `cannot read ${file}: ${(cause as Error).message}`)
  }
  try {
    return file.endsWith('.json') ? tracesFromJson(bytes).data : decodeTraces(bytes)
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    const what = file.endsWith('.json') ? 'OTLP/JSON' : 'OTLP as protobuf; OTLP/JSON ends in .json'
    throw new CommandEnd(exitCode.usage, `${file} is no ${what}: ${error.message}`)
  }
}

async function lookIntoHot(
  config: Config,
  { tenant = 'default', traces }: LevelsOptions,
  levels: AttributeLevels,
): Promise<void> {
  const limit = traces === undefined ? tracesDefault : Number(traces)
  if (!Number.isInteger(limit) || limit < 1 || limit > searchLimitMax) {
    const text = `--traces "${traces}" is no count; give 1 to ${searchLimitMax}`
    throw new CommandEnd(exitCode.usage, text)
  }
  const folder = join(config.data, 'hot')
  // Not there is nothing to look at; what may not be looked at is another thing.
  if (config.hot === 'sqlite' && !statSync(folder, { throwIfNoEntry: false })) return
  const hot = await openHotStore(config, { mayWrite: false })
  try {
    const { decisions } = await hot.search({ tenant, limit })
    for (const { traceId } of decisions) {
      const read = await hot.get(tenant, traceId)
      if (read === undefined) continue
      if (read.bodies.length === 0) levels.rows(read.spans)
      else for (const { bytes } of read.bodies) levels.traces(decodeTraces(bytes))
    }
  } finally {
    await hot.close()
  }
}
