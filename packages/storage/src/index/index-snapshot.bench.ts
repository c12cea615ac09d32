import { setImmediate as nextTurn } from 'node:timers/promises'
import type { BlobStore } from '../blob-store.ts'
import { cpuRate } from '../cpu-rate.ts'
import { seededWords } from './index-files.fixture.ts'
import { snapshotKey } from './index-key.ts'
import {
  type KeyedSnapshotEntry,
  readIndexSnapshot,
  type SnapshotEntries,
  writeIndexSnapshot,
} from './index-snapshot.ts'
import type { Pause } from './sort-rows.ts'

// What matters here is not only the rate but the longest turn: the sampler's thread receives and
// decides meanwhile.

/** Keeps the last object alone, without a copy. */
class OneBlob implements BlobStore {
  #key = ''
  #bytes: Uint8Array = new Uint8Array(0)

  async create(key: string, bytes: Uint8Array): Promise<boolean> {
    this.#key = key
    this.#bytes = bytes
    return true
  }

  async read(key: string, start = 0, length = Number.POSITIVE_INFINITY) {
    if (key !== this.#key) return undefined
    const from = start < 0 ? Math.max(0, this.#bytes.length + start) : start
    return this.#bytes.slice(from, Math.min(this.#bytes.length, from + length))
  }

  async head() {
    return undefined
  }

  async *list() {}

  async rewrite() {
    return false
  }

  async delete() {}

  async close() {}
}

function entries(size: number, isAlike: boolean): SnapshotEntries {
  const word = seededWords(1)
  const entry = {
    tenant: 'default',
    id: new Uint32Array(4),
    offset: 0,
    decidedAtMs: 1_795_244_400_000,
    fingerprint: 0x0123_4567_89ab_cdefn,
    revision: 1,
    verdict: 'drop',
  } satisfies KeyedSnapshotEntry
  return {
    size,
    *[Symbol.iterator]() {
      for (let n = 0; n < size; n++) {
        // Some tracers begin an id with the second it was made in.
        entry.id[0] = isAlike ? 0x69_20_00_00 + Math.floor(n / 400) : word()
        for (let at = 1; at < 4; at++) entry.id[at] = word()
        entry.offset = n
        yield entry
      }
    },
  }
}

const head = {
  partition: 3,
  logId: 'bench',
  nextOffset: 99_999_999,
  counting: { claim: 1, next: 2 },
  decidedAtMs: 1,
  extra: null,
}

const count = 500_000

async function write(store: BlobStore, isAlike = false, pause = nextTurn as Pause) {
  await writeIndexSnapshot(store, head, entries(count, isAlike), pause)
  return count
}

/** In CPU time of this thread, which the system counts in steps of some milliseconds: others' is not ours. */
async function longestTurnMs(): Promise<number> {
  const cpuMs = (): number => process.threadCpuUsage().user / 1_000
  let longest = 0
  for (const isAlike of [false, true]) {
    let last = cpuMs()
    await write(new OneBlob(), isAlike, async () => {
      longest = Math.max(longest, cpuMs() - last)
      await nextTurn()
      last = cpuMs()
    })
  }
  return longest
}

export const benches = [
  {
    name: 'index snapshot, written',
    unit: 'traces/CPU-s',
    run: () => cpuRate(() => write(new OneBlob())),
  },
  {
    name: 'index snapshot, written, ids that begin with the time',
    unit: 'traces/CPU-s',
    run: () => cpuRate(() => write(new OneBlob(), true)),
  },
  {
    name: 'index snapshot, read',
    unit: 'traces/CPU-s',
    run: async () => {
      const written = new OneBlob()
      await write(written)
      return cpuRate(async () => {
        await readIndexSnapshot(written, snapshotKey(head), () => {})
        return count
      })
    },
  },
  { name: 'index snapshot, longest turn of its writer', unit: 'ms', run: longestTurnMs },
]
