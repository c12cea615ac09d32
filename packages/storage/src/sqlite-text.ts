import type { HotBody, HotTrace } from './hot-store.ts'
import type { DatabaseSync, SQLInputValue, StatementSync } from './node-sqlite.ts'
import { inTransaction } from './sqlite-file.ts'

/** Bodies share a row up to this, so that no value nears SQLite's limit of 10^9 bytes. */
export const textRowBytesMax = 16 * 1024 * 1024

/**
 * One file a UTC hour. A row is what one decision wrote: its slices' bytes one after another, and
 * `refs`, a JSON array of [ref, length].
 */
export const textSchema = `CREATE TABLE IF NOT EXISTS text (
  tenant TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  decision_offset INTEGER NOT NULL,
  part INTEGER NOT NULL,
  refs TEXT NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (tenant, trace_id, decision_offset, part)
) STRICT;`

/** The bodies of one UTC hour. */
export class SqliteText {
  readonly #database: DatabaseSync
  readonly #put: StatementSync
  readonly #get: StatementSync

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#put = database.prepare('INSERT OR REPLACE INTO text VALUES (?, ?, ?, ?, ?, ?)')
    this.#get = database.prepare('SELECT refs, bytes FROM text WHERE tenant = ? AND trace_id = ?')
  }

  put(traces: readonly HotTrace[]): void {
    inTransaction(this.#database, () => {
      for (const trace of traces) {
        for (const values of textRows(trace)) this.#put.run(...values)
      }
    })
  }

  bodies(tenant: string, traceId: string): HotBody[] {
    const bodies: HotBody[] = []
    for (const row of this.#get.all(tenant, traceId)) {
      const bytes = row.bytes as Uint8Array
      let start = 0
      for (const [ref, length] of JSON.parse(String(row.refs)) as [string, number][]) {
        bodies.push({ ref, bytes: bytes.slice(start, start + length) })
        start += length
      }
    }
    return bodies
  }

  close(): void {
    this.#database.close()
  }
}

function* textRows({ decision, offset, bodies }: HotTrace): Generator<SQLInputValue[]> {
  for (let at = 0, part = 0; at < bodies.length; part++) {
    const first = at
    let length = 0
    do length += (bodies[at++] as HotBody).bytes.length
    while (at < bodies.length && length + (bodies[at] as HotBody).bytes.length <= textRowBytesMax)
    const group = bodies.slice(first, at)
    const refs = JSON.stringify(group.map(body => [body.ref, body.bytes.length]))
    const bytes = group.length === 1 ? (group[0] as HotBody).bytes : joined(group, length)
    yield [decision.tenant, decision.traceId, offset, part, refs, bytes]
  }
}

function joined(bodies: readonly HotBody[], length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let end = 0
  for (const body of bodies) {
    bytes.set(body.bytes, end)
    end += body.bytes.length
  }
  return bytes
}
