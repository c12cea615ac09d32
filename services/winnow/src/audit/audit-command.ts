import { existsSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { positionsFileName, readPositions } from '@winnow/bus'
import { durationKey, systemClock } from '@winnow/runtime'
import { defaultHotLife, type HotStore } from '@winnow/storage'
import { hotGroup, segmentsGroup } from '@winnow/writer'
import { storedConfig } from '../command-config.ts'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import { lifecycleSurvey, openBlobStore, openHotStore } from '../open-stores.ts'
import type { Config } from '../program-config.ts'
import { AgeAudit, ageGraceDefaultMs } from './age.ts'
import { ageText } from './age-text.ts'
import { type AuditReport, audit, underWayMs } from './audit.ts'
import { auditMetrics } from './audit-metrics.ts'
import { auditCsv, auditText, totalRows } from './audit-text.ts'
import type { AuditedHot } from './hot-audit.ts'

export interface AuditCommandOptions {
  readonly config?: string
  readonly data?: string
  readonly full?: boolean
  /** Look at ages alone, in every store. */
  readonly age?: boolean
  readonly grace?: string
  readonly json?: boolean
  readonly csv?: boolean
  /** As Prometheus reads them. */
  readonly metrics?: boolean
  /** False: the blob store alone. */
  readonly hot?: boolean
}

/** Objects between two lines of progress: their footers are read. */
const progressEvery = 1_000

/** `winnow audit`: the store's listing beside what the ledger says must be there, or the ages of all. */
export async function auditCommand(options: AuditCommandOptions): Promise<void> {
  if (options.age === true && options.full === true) {
    throw new CommandEnd(
      exitCode.usage,
      '--full reads segments, --age names alone: give one of them',
    )
  }
  const forms = (['json', 'csv', 'metrics'] as const).filter(form => options[form] === true)
  if (forms.length > 1) {
    const both = forms.map(form => `--${form}`).join(' and ')
    throw new CommandEnd(exitCode.usage, `${both} are forms of one answer: give one of them`)
  }
  const config = storedConfig(options)
  if (options.age === true && options.metrics === true) {
    throw new CommandEnd(exitCode.usage, '--metrics has no figures of --age: give one of them')
  }
  if (options.age === true) {
    await auditAges(config, options)
    return
  }
  const { warmLife: warm, coldLife: cold, ledgerLife: ledger } = config.writer
  const { costs } = config
  const inWayMs = graceOf(options.grace, underWayMs)
  let listed = 0
  const hot = options.hot === false ? undefined : await openHot(config)
  try {
    const blobs = await openBlobStore(config, { mayWrite: false })
    try {
      const report = await audit(blobs, {
        livesMs: { warm, cold, ledger },
        nowMs: systemClock.nowMs(),
        isFull: options.full === true,
        underWayMs: inWayMs,
        hot: hot && { store: hot, life: defaultHotLife, next: await hotNext(config) },
        objectMin: {
          warm: costs.warm.objectMin,
          cold: costs.cold.objectMin,
          ledger: costs.ledger.objectMin,
          index: costs.index.objectMin,
        },
        onListed: () => {
          if (++listed % progressEvery === 0) console.error(`${listed} objects looked at`)
        },
      })
      process.stdout.write(await reportText(report, options))
      if (!report.agrees) throw new CommandEnd(exitCode.no, '')
    } finally {
      await blobs.close()
    }
  } finally {
    await hot?.close()
  }
}

async function reportText(
  report: AuditReport,
  { json, csv, metrics }: AuditCommandOptions,
): Promise<string> {
  if (metrics) return auditMetrics(report, systemClock.nowMs())
  if (json) return `${JSON.stringify(report)}\n`
  return csv ? auditCsv(report, totalRows(report)) : auditText(report)
}

/** Undefined where nothing was ever put: a folder that is not there is not made by who only looks. */
async function openHot(config: Config): Promise<HotStore | undefined> {
  const isThere = config.hot !== 'sqlite' || existsSync(join(config.data, 'hot'))
  return isThere ? openHotStore(config, { mayWrite: false }) : undefined
}

/** How far the hot store's writer has come, as the bus's files say. A cluster is not asked: who audits need not reach it. */
async function hotNext({ bus, data }: Config): Promise<AuditedHot['next']> {
  const folder = join(data, 'bus')
  if (bus !== 'file' || !existsSync(join(folder, positionsFileName))) return undefined
  const positionOf = await readPositions(folder)
  return log => {
    const hot = positionOf({ ...log, group: hotGroup })?.offset
    // It commits once it has put something: of a log that the other group has begun it is at the beginning.
    const isBegun = positionOf({ ...log, group: segmentsGroup }) !== undefined
    return hot ?? (isBegun ? 0 : undefined)
  }
}

async function auditAges(config: Config, options: AuditCommandOptions): Promise<void> {
  const graceMs = graceOf(options.grace, ageGraceDefaultMs)
  const { warmLife: warm, coldLife: cold, ledgerLife: ledger } = config.writer
  const livesMs = { warm, cold, ledger }
  let listed = 0
  const ages = new AgeAudit({
    hotLife: defaultHotLife,
    livesMs,
    nowMs: systemClock.nowMs(),
    graceMs,
    onListed: () => {
      if (++listed % progressEvery === 0) console.error(`${listed} objects looked at`)
    },
  })
  const hot = await openHot(config)
  try {
    if (hot !== undefined) await ages.hot(hot)
  } finally {
    await hot?.close()
  }
  const blobs = await openBlobStore(config, { mayWrite: false })
  try {
    await ages.blobs(blobs)
  } finally {
    await blobs.close()
  }
  if (config.blobs !== 'folder') {
    const survey = await lifecycleSurvey(config)
    ages.lifecycle(survey.kind === 'read' ? survey.problems : undefined, config.s3.lifecycle)
  }
  const report = ages.report()
  if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`)
  else process.stdout.write(options.csv ? auditCsv(report) : ageText(report))
  if (!report.agrees) throw new CommandEnd(exitCode.no, '')
}

function graceOf(text: string | undefined, byDefaultMs: number): number {
  if (text === undefined) return byDefaultMs
  const parsed = durationKey('1h').safeParse(text)
  if (parsed.success) return parsed.data
  throw new CommandEnd(exitCode.usage, `--grace "${text}" is no time; use 15min, 1h or 2d`)
}
