import type { PackedSlice } from '@winnow/model'
import { Lru, PipelineError } from '@winnow/runtime'
import { inOrder } from './fold.ts'
import { noSlices, type Series, type SliceList } from './series.ts'
import { slicesBytes } from './slice-bytes.ts'

/** Slices of chains, as JSON, that one partition holds in memory; the one last used stays in any case. */
export const chainCacheBytesMax = 64 * 1024 * 1024

/**
 * What records that others chain to know, their own chains included, by their offset: a giant trace is
 * judged on all its slices with every summary, and must not read and parse them each time. Records never
 * change, so neither does what is here.
 */
export class ChainCache {
  readonly #bytesMax: number
  readonly #lists: Lru<SliceList, number>

  constructor(bytesMax = chainCacheBytesMax) {
    this.#bytesMax = bytesMax
    this.#lists = new Lru(bytesMax)
  }

  get(offset: number): SliceList | undefined {
    return this.#lists.get(offset)
  }

  /** One that is heavier than all of it weighs as much as all of it: it stays until the next one comes. */
  set(offset: number, list: SliceList): void {
    this.#lists.set(offset, list, Math.min(list.bytes, this.#bytesMax))
  }

  /** A trace chains to one record at a time: nobody asks for those before it. */
  forget(offset: number): void {
    this.#lists.take(offset)
  }

  clear(): void {
    this.#lists.clear()
  }
}

/** The last decision of a trace, with the slices that it leaves out. */
export async function readSeries(
  read: Pick<Series, 'offset' | 'last'>,
  cache: ChainCache,
  fetch: (offset: number) => Promise<Pick<Series, 'last'> | undefined>,
): Promise<Series> {
  return { ...read, ...(await readChain(read.last.prev, cache, fetch)) }
}

/** What the record at `prev` and its chain know; `isCut` where `fetch` finds that retention has passed one. */
export async function readChain(
  prev: number | null,
  cache: ChainCache,
  fetch: (offset: number) => Promise<Pick<Series, 'last'> | undefined>,
): Promise<{ readonly earlier: SliceList; readonly isCut: boolean }> {
  if (prev === null) return { earlier: noSlices, isCut: false }
  const parts: (readonly PackedSlice[])[] = []
  let bytes = 0
  let isCut = false
  for (let at: number | null = prev; at !== null; ) {
    const known = cache.get(at)
    if (known !== undefined) {
      parts.push(known.slices)
      bytes += known.bytes
      break
    }
    const read = await fetch(at)
    if (read === undefined) {
      isCut = true
      break
    }
    const { last: link } = read
    parts.push(link.slices)
    bytes += slicesBytes(link.slices)
    if (link.prev !== null && link.prev >= at) {
      throw new PipelineError('DATA_CORRUPT', `decision ${at} chains to ${link.prev}, a later one`)
    }
    at = link.prev
  }
  const earlier = { slices: inOrder(parts.reverse().flat()), bytes }
  if (!isCut) cache.set(prev, earlier)
  return { earlier, isCut }
}
