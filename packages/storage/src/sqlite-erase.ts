import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { PipelineError } from '@winnow/runtime'
import type { ErasedFromHot } from './hot-store.ts'
import type { DatabaseSync } from './node-sqlite.ts'
import { SpanPack } from './span-pack.ts'
import { inTransaction, openHotFile } from './sqlite-file.ts'
import { tracesSchema } from './sqlite-traces.ts'

/** Traces in one transaction: so long the day's file takes no other. */
export const eraseTracesAtOnce = 500

/** How often the log is asked to be emptied while somebody reads out of it, and the pause between. */
const checkpointTriesMax = 200
const checkpointPauseMs = 20

/**
 * Takes traces out of one day's file, and their bytes out of the files of text:
 *
 *   1  their text is overwritten with zeros, and synced
 *   2  their rows are deleted in the transaction that marks the file as one to be written anew (user_version)
 *   3  the file is written anew (VACUUM), and its log emptied: pages that rows had been on, cells that were
 *      moved within a page and the log's frames are what secure_delete alone leaves behind
 *   4  the mark is taken off
 *
 * Text first, since only the rows say where it lies: after a crash between 1 and 2 it is overwritten again.
 * After one behind 2 the mark says that 3 is still to be done, though there is no row left to find.
 */
export function eraseFromFile(
  folder: string,
  name: string,
  tenant: string,
  traceIds: readonly string[],
): ErasedFromHot {
  const database = openHotFile(join(folder, name), tracesSchema, false)
  if (database === undefined) return { traces: 0, rows: 0, bytes: 0 }
  try {
    const erased = { traces: 0, rows: 0, bytes: 0 }
    for (let at = 0; at < traceIds.length; at += eraseTracesAtOnce) {
      const some = traceIds.slice(at, at + eraseTracesAtOnce)
      const of = eraseSome(database, folder, tenant, some)
      erased.traces += of.traces
      erased.rows += of.rows
      erased.bytes += of.bytes
    }
    writeAnew(database, name)
    return erased
  } finally {
    database.close()
  }
}

const partsSql = `SELECT parts.spans, parts.refs, parts.text_file, parts.text_at FROM parts
  JOIN traces ON traces.id = parts.trace
  WHERE traces.tenant = :tenant AND traces.trace_id IN (SELECT value FROM json_each(:ids))`

const deleteSql = [
  `DELETE FROM parts WHERE trace IN (SELECT id FROM traces
    WHERE tenant = :tenant AND trace_id IN (SELECT value FROM json_each(:ids)))`,
  'DELETE FROM traces WHERE tenant = :tenant AND trace_id IN (SELECT value FROM json_each(:ids))',
] as const

function eraseSome(
  database: DatabaseSync,
  folder: string,
  tenant: string,
  traceIds: readonly string[],
): ErasedFromHot {
  const named = { tenant, ids: JSON.stringify(traceIds) }
  const erased = { traces: 0, rows: 0, bytes: 0 }
  inTransaction(database, () => {
    const texts = new Map<string, { at: number; bytes: number }[]>()
    for (const { spans, refs, text_file, text_at } of database.prepare(partsSql).all(named)) {
      const sizes = JSON.parse(String(refs)) as readonly (readonly [string, number])[]
      const bytes = sizes.reduce((sum, [, length]) => sum + length, 0)
      const pack = spans as Uint8Array
      erased.rows += SpanPack.from(pack).count
      erased.bytes += pack.length + bytes
      if (text_file === null) continue
      const file = String(text_file)
      texts.set(file, [...(texts.get(file) ?? []), { at: Number(text_at), bytes }])
    }
    for (const [file, places] of texts) overwrite(join(folder, file), places)
    database.prepare(deleteSql[0]).run(named)
    erased.traces = Number(database.prepare(deleteSql[1]).run(named).changes)
    if (erased.traces > 0) database.exec('PRAGMA user_version = 1')
  })
  return erased
}

/** A file that has expired has nothing to overwrite. */
function overwrite(path: string, places: readonly { at: number; bytes: number }[]): void {
  let file: number
  try {
    file = openSync(path, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  try {
    for (const { at, bytes } of places) {
      const zeros = Buffer.alloc(bytes)
      for (let done = 0; done < bytes; ) {
        done += writeSync(file, zeros, done, bytes - done, at + done)
      }
    }
    fdatasyncSync(file)
  } finally {
    closeSync(file)
  }
}

function writeAnew(database: DatabaseSync, name: string): void {
  const mark = database.prepare('PRAGMA user_version').get()?.user_version
  if (mark !== 1) return
  database.exec('VACUUM')
  emptyLog(database, name)
  database.exec('PRAGMA user_version = 0')
}

function emptyLog(database: DatabaseSync, name: string): void {
  for (let tries = 0; tries < checkpointTriesMax; tries++) {
    if (database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.busy === 0) return
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, checkpointPauseMs)
  }
  const text = `${name}: somebody reads out of its log, which cannot be emptied; it is tried again`
  throw new PipelineError('STORE_UNAVAILABLE', text)
}
