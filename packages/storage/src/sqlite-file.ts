import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { formats, isNewerVersion, writtenVersion } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { DatabaseSync } from './node-sqlite.ts'

/** How long a call waits for another process's transaction. */
export const busyMs = 5_000

/** The format this release writes and the newest it reads; it also reads the one before. */
export const hotFormat = formats.hotFile

/**
 * Opens one file of the hot tier. `create` makes it with `schema` where it is missing; without it a
 * file that is not there, or not whole yet, is undefined. A newer release's file is refused by name.
 *
 * WAL with FULL: a commit is on the disk when it returns, and readers never wait for the writer.
 * secure_delete: a replaced row leaves nothing behind in free pages.
 */
export function openHotFile(
  path: string,
  schema: string,
  create: boolean,
): DatabaseSync | undefined {
  if (create) mkdirSync(dirname(path), { recursive: true })
  const url = pathToFileURL(path)
  url.searchParams.set('mode', create ? 'rwc' : 'rw')
  const database = openDatabase(url)
  if (database === undefined) return undefined
  try {
    if (create) createSchema(database, schema)
    const format = formatOf(database)
    if (format === undefined) {
      database.close()
      return undefined
    }
    if (isNewerVersion('hotFile', format)) {
      throw new PipelineError(
        'CONFIG_INVALID',
        `${path} has format ${format}, this release reads up to ${hotFormat}; run the newer release or move the file away`,
      )
    }
    database.exec('PRAGMA synchronous = FULL')
    database.exec('PRAGMA secure_delete = ON')
    database.exec('PRAGMA wal_autocheckpoint = 4000')
    database.exec('PRAGMA journal_size_limit = 67108864')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** What is at the path now: a file removed and made again under an open handle has another number. */
export function fileNumber(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino
}

/** Runs `work` in one transaction; nothing of it is left when it throws. */
export function inTransaction(database: DatabaseSync, work: () => void): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    work()
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** Foreign errors become ours here; what is neither an outage nor damage is a bug and stays itself. */
export function hotError(what: string, error: unknown): Error {
  if (!(error instanceof Error)) return new Error(`${what} threw ${String(error)}`)
  if (error instanceof PipelineError) return error
  const { errcode, errstr } = error as { errcode?: number; errstr?: string }
  if (errcode === undefined) {
    const code = (error as NodeJS.ErrnoException).code
    return code === undefined || !/^E[A-Z]+$/.test(code)
      ? error
      : new PipelineError('STORE_UNAVAILABLE', `${what} failed: ${code}`, { cause: error })
  }
  // Primary result codes of sqlite.org/rescode.html: busy, locked, nomem, readonly, interrupt,
  // ioerr, full, cantopen, protocol · corrupt, notadb.
  const primary = errcode & 0xff
  if ([5, 6, 7, 8, 9, 10, 13, 14, 15].includes(primary)) {
    return new PipelineError('STORE_UNAVAILABLE', `${what} failed: ${errstr}`, { cause: error })
  }
  if (primary === 11 || primary === 26) {
    const remedy = 'restore the file or move it away; what it held stays in warm'
    return new PipelineError('DATA_CORRUPT', `${what}: ${errstr}; ${remedy}`, { cause: error })
  }
  return error
}

function openDatabase(url: URL): DatabaseSync | undefined {
  try {
    return new DatabaseSync(url, { timeout: busyMs })
  } catch (error) {
    // SQLITE_CANTOPEN without `create`: expired between the listing and now.
    if (url.searchParams.get('mode') === 'rw' && (error as { errcode?: number }).errcode === 14) {
      return undefined
    }
    throw error
  }
}

function createSchema(database: DatabaseSync, schema: string): void {
  database.exec('PRAGMA page_size = 16384')
  database.exec('PRAGMA journal_mode = WAL')
  inTransaction(database, () => {
    database.exec(schema)
    database.exec(
      'CREATE TABLE IF NOT EXISTS format (only INTEGER PRIMARY KEY, v INTEGER NOT NULL)',
    )
    database.exec(`INSERT OR IGNORE INTO format (only, v) VALUES (1, ${writtenVersion('hotFile')})`)
  })
}

function formatOf(database: DatabaseSync): number | undefined {
  const table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'format'"
  if (database.prepare(table).get() === undefined) return undefined
  const row = database.prepare('SELECT v FROM format').get()
  return typeof row?.v === 'number' ? row.v : undefined
}
