import { join } from 'node:path'
import {
  type BlobStore,
  FileBlobStore,
  type HotStore,
  SqliteHotStore,
  type TraceBuffer,
} from '@winnow/storage'
import { makeFolder } from './make-folder.ts'
import type { Config } from './program-config.ts'

// The one place that knows which adapter a store's key names; each is loaded only where it is named.

/** The hot store that `hot` names. */
export async function openHotStore(config: Config): Promise<HotStore> {
  makeFolder(config.data)
  return new SqliteHotStore(join(config.data, 'hot'))
}

/** The blob store that `blobs` names. `mayWrite`: who only reads makes no folder and sweeps nothing. */
export async function openBlobStore(
  config: Config,
  { mayWrite }: { readonly mayWrite: boolean },
): Promise<BlobStore> {
  const folder = join(config.data, 'blobs')
  if (!mayWrite) return FileBlobStore.existing(folder)
  makeFolder(config.data)
  return FileBlobStore.open(folder)
}

/** The trace buffer that `buffer` names; undefined: none, records are read from the bus alone. */
export async function openTraceBuffer(_config: Config): Promise<TraceBuffer | undefined> {
  return undefined
}
