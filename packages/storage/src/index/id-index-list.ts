import type { BlobStore } from '../blob-store.ts'
import {
  everyId,
  type IdIndexFileName,
  type IdIndexName,
  type IdRange,
  idIndexKey,
  idIndexPrefix,
  parseIdIndexKey,
} from './index-key.ts'

export interface ListedIdIndexFile extends IdIndexFileName {
  readonly bytes: number
}

/** An id index whose files have every id between them: one, unless one would be too large. */
export interface ListedIdIndex extends IdIndexName {
  /** By id. */
  readonly files: readonly ListedIdIndexFile[]
  /** Of all its files. */
  readonly bytes: number
}

/** The id indexes of a partition, of every log, by date, log and offset. One list. */
export async function listIdIndexes(store: BlobStore, partition: number): Promise<ListedIdIndex[]> {
  return wholeIdIndexes(await listIdIndexFiles(store, partition))
}

/** Every file of them, of those too of which one was not made yet, or is gone. One list. */
export async function listIdIndexFiles(
  store: BlobStore,
  partition: number,
): Promise<ListedIdIndexFile[]> {
  const names: ListedIdIndexFile[] = []
  for await (const { key, bytes } of store.list(idIndexPrefix(partition))) {
    const name = parseIdIndexKey(key)
    if (name !== undefined) names.push({ ...name, bytes })
  }
  return names
}

/** The key that an id index would have as one file: what its files have in common. */
export function idIndexOf({ ids: _, ...name }: IdIndexFileName): string {
  return idIndexKey(name)
}

/** The indexes of which every file is there. Pure. */
export function wholeIdIndexes(listed: readonly ListedIdIndexFile[]): ListedIdIndex[] {
  return [...Map.groupBy(listed, idIndexOf).values()].flatMap(all => {
    const files = filesOfEveryId(all)
    const { partition, date, lastDate, logId, first, last } = all[0] as ListedIdIndexFile
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
    return files.length === 0
      ? []
      : [{ partition, date, lastDate, logId, first, last, files, bytes }]
  })
}

/** As few of an index's files as have every id; none: one is missing. */
function filesOfEveryId(files: readonly ListedIdIndexFile[]): readonly ListedIdIndexFile[] {
  const chain: ListedIdIndexFile[] = []
  let { from } = everyId
  while (from < everyId.before) {
    const next = files
      .filter(file => rangeOf(file).from <= from && from < rangeOf(file).before)
      .sort((a, b) => (rangeOf(a).before < rangeOf(b).before ? 1 : -1))[0]
    if (next === undefined) return []
    chain.push(next)
    from = rangeOf(next).before
  }
  return chain
}

function rangeOf({ ids }: IdIndexFileName): IdRange {
  return ids ?? everyId
}

/** The file of an index that has a trace's row, if any has. */
export function idIndexFileOf({ files }: ListedIdIndex, traceId: string): ListedIdIndexFile {
  return files.find(file => traceId < rangeOf(file).before) as ListedIdIndexFile
}
