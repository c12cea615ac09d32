import type { CountingState, Verdict } from '@winnow/model'
import type { BlobStore } from '../blob-store.ts'
import { parseSnapshotKey, type SnapshotName, snapshotKey, snapshotPrefix } from './index-key.ts'
import { nextTurnOfTheLoop, type Pause } from './sort-rows.ts'
import {
  corrupt,
  findRow,
  openSorted,
  readBlocks,
  readExtra,
  rowKeyBytes,
  type SortedFile,
} from './sorted-file.ts'
import { SortedFileBuilder } from './sorted-file-builder.ts'

/** A sampler's fold of one partition of `decisions`, but for its entries. */
export interface SnapshotHead extends SnapshotName {
  /** Who counts from `nextOffset` on. */
  readonly counting: CountingState
  /** Log time as far as the decisions in it tell it, Unix milliseconds. */
  readonly decidedAtMs: number
  /** Whatever else the sampler folds, as JSON. */
  readonly extra: unknown
}

/** The last counting decision of a trace. */
export interface SnapshotEntry {
  readonly offset: number
  readonly decidedAtMs: number
  /** All 64 bits. */
  readonly fingerprint: bigint
  /** 1 to 2^31 - 1. */
  readonly revision: number
  readonly verdict: Verdict
}

/** An entry and whose it is. Whoever is given one takes what it needs: the next may be the same object. */
export interface KeyedSnapshotEntry extends SnapshotEntry {
  readonly tenant: string
  /** The trace id as four words, the first digits first. */
  readonly id: ArrayLike<number>
}

/** The entries of an index, in any order. The index may change as they are read. */
export interface SnapshotEntries extends Iterable<KeyedSnapshotEntry> {
  /** How many lie before the snapshot's next offset, at most. */
  readonly size: number
}

/** Offset 8, decided at 8, fingerprint 8, revision << 1 | keep 4. */
const rowBytes = rowKeyBytes + 28

/** Entries that are taken between two pauses: about two milliseconds. */
const takenMax = 8_192

/** Blocks of one ranged read where a snapshot is read whole: 3 MiB. */
const blocksRead = 16

/** How many snapshots of a partition stay: a reader of the last but one is not interrupted. */
export const snapshotsKept = 2

/**
 * Writes the index as it is before `head.nextOffset` as one immutable file, then deletes what is older
 * than the last {@link snapshotsKept} of this partition and log. The thread is given to others every few
 * milliseconds, so the index may move on meanwhile: an entry may then be that of a later decision than
 * the head says, which whoever loads the snapshot folds once more. One whose trace came later may be
 * missing. False: a snapshot of this offset was there.
 */
export async function writeIndexSnapshot(
  store: BlobStore,
  head: SnapshotHead,
  entries: SnapshotEntries,
  pause: Pause = nextTurnOfTheLoop,
): Promise<boolean> {
  const key = snapshotKey(head)
  const builder = new SortedFileBuilder('snapshot', rowBytes, entries.size)
  let taken = 0
  for (const entry of entries) {
    addRow(builder, entry)
    if (++taken % takenMax === 0) await pause()
  }
  const { extra, ...meta } = head
  const bytes = await builder.finish(meta, Buffer.from(JSON.stringify(extra ?? null)), pause)
  const created = await store.create(key, bytes)
  await deleteOlder(store, head)
  return created
}

function addRow(builder: SortedFileBuilder, entry: KeyedSnapshotEntry): void {
  const at = builder.add(entry.id, entry.tenant)
  const { view } = builder
  view.setFloat64(at, entry.offset)
  view.setFloat64(at + 8, entry.decidedAtMs)
  view.setBigUint64(at + 16, entry.fingerprint)
  view.setUint32(at + 24, ((entry.revision << 1) | (entry.verdict === 'keep' ? 1 : 0)) >>> 0)
}

async function deleteOlder(store: BlobStore, { partition, logId }: SnapshotName): Promise<void> {
  const names = await snapshotsOf(store, partition, logId)
  for (const name of names.slice(0, -snapshotsKept)) await store.delete(snapshotKey(name))
}

/** The snapshots of a partition and log, by offset. One list. */
async function snapshotsOf(
  store: BlobStore,
  partition: number,
  logId: string,
): Promise<SnapshotName[]> {
  const names: SnapshotName[] = []
  for await (const { key } of store.list(`${snapshotPrefix(partition)}${logId}-`)) {
    const name = parseSnapshotKey(key)
    // A log id may be the beginning of another's.
    if (name?.logId === logId) names.push(name)
  }
  return names
}

/** The key of the newest snapshot; of those up to `offsetMax` where one is given. One list. */
export async function latestSnapshot(
  store: BlobStore,
  partition: number,
  logId: string,
  offsetMax = Number.POSITIVE_INFINITY,
): Promise<string | undefined> {
  const names = await snapshotsOf(store, partition, logId)
  const last = names.findLast(({ nextOffset }) => nextOffset <= offsetMax)
  return last && snapshotKey(last)
}

/** Looks at a snapshot: one ranged read, two where it is of many tenants. Undefined: no such key. */
export async function openSnapshot(store: BlobStore, key: string): Promise<SortedFile | undefined> {
  const file = await openSorted(store, key, 'snapshot')
  if (file === undefined) return undefined
  if (file.rowBytes !== rowBytes || snapshotKey(headOf(file)) !== key) {
    throw corrupt(key, 'it is the snapshot of another partition, log or offset')
  }
  return file
}

/** At most one ranged read. Undefined: the trace had no decision in its life before the snapshot. */
export async function lookUpInSnapshot(
  store: BlobStore,
  snapshot: SortedFile,
  tenant: string,
  traceId: string,
): Promise<SnapshotEntry | undefined> {
  const row = await findRow(store, snapshot, tenant, traceId)
  return row && entryAt(row, 0)
}

/**
 * The whole snapshot, some megabytes at a time: `visit` is given each entry by trace id, and the head
 * is returned. Undefined: no such key, and nothing was visited. Rejects with DATA_CORRUPT after entries
 * may have been visited: the caller forgets them.
 */
export async function readIndexSnapshot(
  store: BlobStore,
  key: string,
  visit: (entry: KeyedSnapshotEntry) => void,
  pause: Pause = nextTurnOfTheLoop,
): Promise<SnapshotHead | undefined> {
  const file = await openSnapshot(store, key)
  if (file === undefined) return undefined
  const blocks = Math.ceil(file.rows / file.blockRows)
  const read = (first: number) =>
    first < blocks ? readBlocks(store, file, first, blocksRead) : undefined
  let ahead = read(0)
  for (let block = 0; block < blocks; block += blocksRead) {
    const rows = (await ahead) ?? Buffer.alloc(0)
    ahead = read(block + blocksRead)
    // Not lost, only heard later: the loop awaits it in its next turn.
    ahead?.catch(() => {})
    for (let at = 0; at < rows.length; at += rowBytes) {
      visit(keyedAt(file, rows, at))
      if ((at / rowBytes) % takenMax === takenMax - 1) await pause()
    }
  }
  const extra = JSON.parse((await readExtra(store, file)).toString()) as unknown
  return { ...headOf(file), extra }
}

function headOf(file: SortedFile): Omit<SnapshotHead, 'extra'> {
  return file.meta as Omit<SnapshotHead, 'extra'>
}

function keyedAt(file: SortedFile, rows: Buffer, at: number): KeyedSnapshotEntry {
  const entry = entryAt(rows, at)
  return {
    tenant: file.tenants[rows.readUInt32BE(at + 16)] ?? '',
    id: [0, 4, 8, 12].map(word => rows.readUInt32BE(at + word)),
    offset: entry.offset,
    decidedAtMs: entry.decidedAtMs,
    fingerprint: entry.fingerprint,
    revision: entry.revision,
    verdict: entry.verdict,
  }
}

function entryAt(row: Buffer, at: number): SnapshotEntry {
  const state = row.readUInt32BE(at + rowKeyBytes + 24)
  return {
    offset: row.readDoubleBE(at + rowKeyBytes),
    decidedAtMs: row.readDoubleBE(at + rowKeyBytes + 8),
    fingerprint: row.readBigUInt64BE(at + rowKeyBytes + 16),
    revision: state >>> 1,
    verdict: (state & 1) === 1 ? 'keep' : 'drop',
  }
}
