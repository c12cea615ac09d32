import type { PackedSlice } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
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
  /** Least recently used first. */
  readonly #lists = new Map<number, SliceList>()
  #bytes = 0

  constructor(bytesMax = chainCacheBytesMax) {
    this.#bytesMax = bytesMax
  }

  get(offset: number): SliceList | undefined {
    const list = this.#lists.get(offset)
    if (list === undefined) return undefined
    this.#lists.delete(offset)
    this.#lists.set(offset, list)
    return list
  }

  set(offset: number, list: SliceList): void {
    this.forget(offset)
    this.#lists.set(offset, list)
    this.#bytes += list.bytes
    for (const oldest of this.#lists.keys()) {
      if (this.#bytes <= this.#bytesMax || oldest === offset) break
      this.forget(oldest)
    }
  }

  /** A trace chains to one record at a time: nobody asks for those before it. */
  forget(offset: number): void {
    this.#bytes -= this.#lists.get(offset)?.bytes ?? 0
    this.#lists.delete(offset)
  }

  clear(): void {
    this.#lists.clear()
    this.#bytes = 0
  }
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
