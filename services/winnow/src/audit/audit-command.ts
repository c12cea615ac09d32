import { readFileSync } from 'node:fs'
import process from 'node:process'
import { systemClock } from '@winnow/runtime'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import { openBlobStore } from '../open-stores.ts'
import { loadConfig } from '../program-config.ts'
import { audit } from './audit.ts'
import { auditCsv, auditText } from './audit-text.ts'

export interface AuditCommandOptions {
  readonly config?: string
  readonly data?: string
  readonly full?: boolean
  readonly json?: boolean
  readonly csv?: boolean
}

/** Objects between two lines of progress: their footers are read. */
const progressEvery = 1_000

/** `winnow audit`: the store's listing beside what the ledger says must be there. */
export async function auditCommand(options: AuditCommandOptions): Promise<void> {
  const config = loadConfig({
    ...(options.config !== undefined && { file: options.config }),
    env: process.env,
    options: { data: options.data },
    readFile: path => readFileSync(path, 'utf8'),
  })
  const { warmLife: warm, coldLife: cold, ledgerLife: ledger } = config.writer
  const blobs = await openBlobStore(config, { mayWrite: false })
  let listed = 0
  try {
    const report = await audit(blobs, {
      livesMs: { warm, cold, ledger },
      nowMs: systemClock.nowMs(),
      isFull: options.full === true,
      onListed: () => {
        if (++listed % progressEvery === 0) console.error(`${listed} objects looked at`)
      },
    })
    if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`)
    else process.stdout.write(options.csv ? auditCsv(report) : auditText(report))
    if (!report.agrees) throw new CommandEnd(exitCode.no, '')
  } finally {
    await blobs.close()
  }
}
