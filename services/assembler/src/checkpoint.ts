import { crc32 } from 'node:zlib'
import type { CloseReason } from '@winnow/model'
import { ByteReader, ByteWriter } from './byte-cursor.ts'
import { type OpenSlice, OpenTrace, spanIdWords } from './open-trace.ts'
import type { ClosedTrace, FoldState } from './partition-fold.ts'

/** Whose fold a checkpoint is of. Another's is of no use here. */
export interface CheckpointOwner {
  readonly logId: string
  readonly group: string
  readonly partition: number
}

/** The last record that was folded: offsets alone do not tell a log from one that was cut and went on. */
export interface FoldedRecord {
  readonly offset: number
  readonly appendedAtMs: number
  /** CRC-32 of its value. */
  readonly crc: number
}

/** Why the bytes of a checkpoint are of no use. Whoever meets one replays the log instead. */
export type UnusableCheckpoint = 'corrupt' | 'foreign' | 'newer'

export interface ReadCheckpoint {
  readonly state: FoldState
  readonly last: FoldedRecord
}

/** Larger ones are not written: a restart then replays the log, which takes longer and loses nothing. */
export const checkpointBytesMax = 64 * 1024 * 1024

/** Bytes encoded between two yields: a table of 100 MB must not hold the thread. */
const turnBytes = 512 * 1024

const version = 1
const magic = 0x54_4f_43_57 // "WCOT" as bytes
const headBytes = 12
const reasons: readonly CloseReason[] = ['root', 'rootless', 'long', 'spans', 'bytes', 'refs']

/**
 * The whole state of a fold at its position. Undefined: it has more than `bytesMax`.
 * The fold must stand still until it resolves; `turn` is awaited now and then.
 *
 *   "WCOT" │ u32 version │ u32 crc of all that follows │ text: JSON {owner, last, position, time, open, closed}
 *   per closed trace, then per open trace:
 *     text tenant │ 16 bytes trace id │ f64 opened at │ f64 last at │ u8 reason (closed only) │ f64 closed at (closed only)
 *     u32 slices │ { f64 offset │ u32 start │ u32 length │ u32 spans │ f64 appended at │ text facts } …
 *     u32 distinct spans │ 5 × u32 each
 *
 * Little endian; a text is its length in bytes as u32 and UTF-8.
 */
export async function encodeCheckpoint(
  owner: CheckpointOwner,
  last: FoldedRecord,
  state: FoldState,
  turn: () => Promise<void>,
  bytesMax = checkpointBytesMax,
): Promise<Uint8Array | undefined> {
  const closed = [...state.closed]
  const open = [...state.open]
  const { position, time } = state
  const { logId, group, partition } = owner
  const counts = { open: open.length, closed: closed.length }
  const head = { v: version, logId, group, partition, last, position, time, ...counts }
  const out = new ByteWriter()
  out.u32(magic)
  out.u32(version)
  out.u32(0)
  out.text(JSON.stringify(head))
  let turnAt = turnBytes
  for (const [at, trace] of [...closed.map(one => one.trace), ...open].entries()) {
    writeTrace(out, trace, closed[at])
    if (out.length > bytesMax) return undefined
    if (out.length < turnAt) continue
    turnAt = out.length + turnBytes
    await turn()
  }
  out.setU32(8, crc32(out.bytes.subarray(headBytes)))
  return out.bytes
}

/** The state that `bytes` hold, or why they are of no use. Never throws, whatever they are. */
export function decodeCheckpoint(
  bytes: Uint8Array,
  owner: CheckpointOwner,
): ReadCheckpoint | UnusableCheckpoint {
  try {
    const from = new ByteReader(bytes)
    if (from.u32() !== magic) return 'corrupt'
    const v = from.u32()
    if (v > version) return 'newer'
    if (from.u32() !== crc32(bytes.subarray(headBytes))) return 'corrupt'
    const head = JSON.parse(from.text())
    const { logId, group, partition } = head
    if (logId !== owner.logId || group !== owner.group || partition !== owner.partition) {
      return 'foreign'
    }
    const closed: ClosedTrace[] = []
    const open: OpenTrace[] = []
    while (closed.length < head.closed) closed.push(readClosed(from))
    while (open.length < head.open) open.push(readTrace(from).trace)
    if (from.rest > 0) return 'corrupt'
    const { position, time, last } = head
    return { state: { position, time, open, closed }, last }
  } catch {
    // Bytes that end too early, or JSON that is none, although the checksum is right.
    return 'corrupt'
  }
}

function writeTrace(out: ByteWriter, trace: OpenTrace, closed: ClosedTrace | undefined): void {
  out.text(trace.tenant)
  out.hex(trace.traceId)
  out.f64(trace.openedAtMs)
  out.f64(trace.lastAtMs)
  if (closed !== undefined) {
    out.u8(reasons.indexOf(closed.reason))
    out.f64(closed.closedAtMs)
  }
  out.u32(trace.slices.length)
  for (const slice of trace.slices) {
    out.f64(slice.offset)
    out.u32(slice.start)
    out.u32(slice.length)
    out.u32(slice.spanCount)
    out.f64(slice.appendedAtMs)
    out.text(slice.facts)
  }
  const { spanIds } = trace
  out.u32(spanIds.length / spanIdWords)
  for (const word of spanIds) out.u32(word)
}

function readClosed(from: ByteReader): ClosedTrace {
  const { trace, reason, closedAtMs } = readTrace(from, true)
  trace.close('due')
  return { trace, reason, closedAtMs }
}

function readTrace(
  from: ByteReader,
  isClosed = false,
): { readonly trace: OpenTrace; readonly reason: CloseReason; readonly closedAtMs: number } {
  const tenant = from.text()
  const traceId = from.hex(16)
  const openedAtMs = from.f64()
  const lastAtMs = from.f64()
  const reason = (isClosed ? reasons[from.u8()] : 'root') as CloseReason
  const closedAtMs = isClosed ? from.f64() : 0
  const slices: OpenSlice[] = []
  for (let left = from.u32(); left > 0; left--) {
    const offset = from.f64()
    const start = from.u32()
    const length = from.u32()
    const spanCount = from.u32()
    const appendedAtMs = from.f64()
    slices.push({ offset, start, length, spanCount, appendedAtMs, facts: from.text() })
  }
  const spanIds = from.words(from.u32() * spanIdWords)
  const trace = OpenTrace.restore({ tenant, traceId, openedAtMs, lastAtMs, slices, spanIds })
  return { trace, reason, closedAtMs }
}
