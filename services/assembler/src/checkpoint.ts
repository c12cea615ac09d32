import { crc32 } from 'node:zlib'
import { acceptsVersion, type CloseReason, isNewerVersion, writtenVersion } from '@winnow/model'
import { ByteReader, ByteWriter } from './byte-cursor.ts'
import { OpenTrace } from './open-trace.ts'
import type { ClosedTrace, FoldState, PendingTrace } from './partition-fold.ts'
import { SliceHeadReader } from './slice-bytes.ts'
import { sharedTexts } from './text-table.ts'
import { ChainMemory, TracePool } from './trace-pool.ts'

/** Whose fold a checkpoint is of. Another's is of no use here. */
export interface CheckpointOwner {
  readonly logId: string
  readonly group: string
  readonly partition: number
  /** See `lineNames`. A trace's line is a number among them, and another one once the list has changed. */
  readonly closeTimes?: readonly string[]
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

const magic = 0x54_4f_43_57 // "WCOT" as bytes
const headBytes = 12
const flag = { rooted: 1, entry: 2 } as const
/** Above them lies the trace's line of `closeTimes`. */
const flagBits = 2
const reasons: readonly CloseReason[] = ['root', 'rootless', 'long', 'spans', 'bytes', 'refs']

/**
 * The whole state of a fold at its position. Undefined: it has more than `bytesMax`.
 * The fold must stand still until it resolves; `turn` is awaited now and then.
 *
 *   "WCOT" │ u32 version │ u32 crc of all that follows │ text: JSON {owner, last, position, time, open, closed}
 *   and closeTimes where there are lines
 *   per closed trace, then per open trace:
 *     text trace id and tenant │ f64 opened at, last at, first offset, bytes on the bus
 *     u32 slices, spans, characters of facts │ u8 flags: 1 rooted, 2 has an entry span
 *     closed only: u8 reason │ f64 closed at │ u32 missing parents
 *     u32 bytes │ its slices as in slice-bytes.ts, with numbers of texts that are the checkpoint's own
 *   u32 texts │ text …                              from number 1 on
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
  const { logId, group, partition, closeTimes = [] } = owner
  const counts = { open: open.length, closed: closed.length }
  const v = writtenVersion('checkpoint')
  const lines = closeTimes.length > 0 && { closeTimes }
  const head = { v, logId, group, partition, last, position, time, ...counts, ...lines }
  const out = new ByteWriter()
  out.u32(magic)
  out.u32(v)
  out.u32(0)
  out.text(JSON.stringify(head))
  const texts = new Map<number, number>()
  let turnAt = turnBytes
  for (const [at, trace] of [...closed.map(one => one.trace), ...open].entries()) {
    writeTrace(out, state.pool, trace, closed[at])
    renumber(out.last(trace.byteCount), number => numberIn(texts, number))
    if (out.length > bytesMax) return undefined
    if (out.length < turnAt) continue
    turnAt = out.length + turnBytes
    await turn()
  }
  out.u32(texts.size)
  for (const number of texts.keys()) out.text(sharedTexts.textOf(number))
  if (out.length > bytesMax) return undefined
  out.setU32(8, crc32(out.bytes.subarray(headBytes)))
  return out.bytes
}

/** The state that `bytes` hold, or why they are of no use. Never throws, whatever they are. */
export function decodeCheckpoint(
  bytes: Uint8Array,
  owner: CheckpointOwner,
): ReadCheckpoint | UnusableCheckpoint {
  try {
    const opened = openCheckpoint(bytes, owner)
    if (typeof opened === 'string') return opened
    const { head, from } = opened
    const pool = new TracePool()
    const bytesOf = new Map<OpenTrace, Buffer>()
    const closed: ClosedTrace[] = []
    const open: OpenTrace[] = []
    while (closed.length < head.closed) closed.push(readClosed(from, bytesOf))
    while (open.length < head.open) open.push(readTrace(from, bytesOf, false).trace)
    const numbers: number[] = []
    for (let left = from.u32(); left > 0; left--) numbers.push(sharedTexts.restore(from.text()))
    for (const [trace, slices] of bytesOf) {
      renumber(slices, number => numbers[number - 1])
      pool.append(trace, slices, slices.length)
    }
    if (from.rest > 0) return 'corrupt'
    for (const trace of open) trace.closeTimes = lineNow(trace.closeTimes, head, owner)
    const { position, time, last } = head
    return { state: { position, time, open, closed, pool }, last }
  } catch {
    // Bytes that end too early, or JSON that is none, although the checksum is right.
    return 'corrupt'
  }
}

/** A line that is not in the list any more is none: the trace waits as all do. */
function lineNow(line: number, { closeTimes }: CheckpointHead, owner: CheckpointOwner): number {
  const name = closeTimes?.[line - 1]
  return name === undefined ? 0 : (owner.closeTimes ?? []).indexOf(name) + 1
}

interface CheckpointHead {
  readonly position: number
  readonly time: FoldState['time']
  readonly last: FoldedRecord
  /** How many traces of each follow. */
  readonly closed: number
  readonly open: number
  readonly closeTimes?: readonly string[]
}

function openCheckpoint(
  bytes: Uint8Array,
  owner: CheckpointOwner,
): { readonly head: CheckpointHead; readonly from: ByteReader } | UnusableCheckpoint {
  const from = new ByteReader(bytes)
  if (from.u32() !== magic) return 'corrupt'
  const v = from.u32()
  if (isNewerVersion('checkpoint', v)) return 'newer'
  if (!acceptsVersion('checkpoint', v)) return 'corrupt'
  if (from.u32() !== crc32(bytes.subarray(headBytes))) return 'corrupt'
  const head = JSON.parse(from.text())
  const { logId, group, partition } = head
  const isOwn = logId === owner.logId && group === owner.group && partition === owner.partition
  return isOwn ? { head, from } : 'foreign'
}

/**
 * What a checkpoint knows of one trace, without making a table of all of them: for whoever only wants to
 * say that it is open, or closed and not yet decided. Undefined also where the bytes are of no use.
 */
export function pendingInCheckpoint(
  bytes: Uint8Array,
  owner: CheckpointOwner,
  tenant: string,
  traceId: string,
): PendingTrace | undefined {
  let found: PendingTrace | undefined
  try {
    const opened = openCheckpoint(bytes, owner)
    if (typeof opened === 'string') return undefined
    const { head, from } = opened
    for (let trace = 0; trace < head.closed + head.open; trace++) {
      const { key, spanCount, sliceCount } = readFields(from, trace < head.closed)
      const slices = from.bytes(from.u32())
      if (key !== traceId + tenant) continue
      const heads = new SliceHeadReader().begin(slices, slices.length)
      heads.next()
      const firstAppendedAtMs = heads.appendedAtMs
      while (heads.next());
      const lastAppendedAtMs = heads.appendedAtMs
      // Where a part of it is closed, what is open comes last and is the one that counts.
      found = { spanCount, slices: sliceCount, firstAppendedAtMs, lastAppendedAtMs }
    }
  } catch {
    // As in `decodeCheckpoint`.
    return undefined
  }
  return found
}

const memory = new ChainMemory()

function writeTrace(
  out: ByteWriter,
  pool: TracePool,
  trace: OpenTrace,
  closed: ClosedTrace | undefined,
): void {
  out.text(trace.key)
  out.f64(trace.openedAtMs)
  out.f64(trace.lastAtMs)
  out.f64(trace.firstOffset)
  out.f64(trace.spanBytes)
  out.u32(trace.sliceCount)
  out.u32(trace.spanCount)
  out.u32(trace.jsonLength)
  const flags = (trace.isRooted ? flag.rooted : 0) | (trace.hasEntry ? flag.entry : 0)
  out.u8(flags | (trace.closeTimes << flagBits))
  if (closed !== undefined) {
    out.u8(reasons.indexOf(closed.reason))
    out.f64(closed.closedAtMs)
    out.u32(closed.missingParents)
  }
  out.u32(trace.byteCount)
  const { words, bytes } = memory.reserve(trace.byteCount)
  pool.copy(trace, words)
  bytes.copy(out.room(trace.byteCount), 0, 0, trace.byteCount)
}

function readClosed(from: ByteReader, bytesOf: Map<OpenTrace, Buffer>): ClosedTrace {
  const closed = readTrace(from, bytesOf, true)
  closed.trace.close('due')
  return closed
}

function readTrace(
  from: ByteReader,
  bytesOf: Map<OpenTrace, Buffer>,
  isClosed: boolean,
): ClosedTrace {
  const { reason, closedAtMs, missingParents, ...saved } = readFields(from, isClosed)
  const trace = OpenTrace.restore(saved)
  // A copy: the numbers in it are about to change, and the bytes are the caller's.
  bytesOf.set(trace, Buffer.from(from.bytes(from.u32())))
  return { trace, reason, closedAtMs, missingParents }
}

/** All of a trace but its slices, which follow. */
function readFields(from: ByteReader, isClosed: boolean) {
  const key = from.text()
  const openedAtMs = from.f64()
  const lastAtMs = from.f64()
  const firstOffset = from.f64()
  const spanBytes = from.f64()
  const sliceCount = from.u32()
  const spanCount = from.u32()
  const jsonLength = from.u32()
  const flags = from.u8()
  return {
    key,
    openedAtMs,
    lastAtMs,
    firstOffset,
    spanBytes,
    sliceCount,
    spanCount,
    jsonLength,
    isRooted: (flags & flag.rooted) > 0,
    hasEntry: (flags & flag.entry) > 0,
    closeTimes: flags >>> flagBits,
    reason: (isClosed ? reasons[from.u8()] : 'root') as CloseReason,
    closedAtMs: isClosed ? from.f64() : 0,
    missingParents: isClosed ? from.u32() : 0,
  }
}

/** Texts have other numbers in another process. */
function renumber(slices: Buffer, numberOf: (number: number) => number | undefined): void {
  const heads = new SliceHeadReader().begin(slices, slices.length)
  while (heads.next()) {
    const before = slices.readUInt16LE(heads.factsFrom)
    const after = before === 0 ? 0 : numberOf(before)
    if (after === undefined) throw new RangeError('a slice has a text that is not there')
    slices.writeUInt16LE(after, heads.factsFrom)
  }
}

/** In order of appearance, from 1 on. */
function numberIn(texts: Map<number, number>, number: number): number {
  const own = texts.get(number) ?? texts.size + 1
  texts.set(number, own)
  return own
}
