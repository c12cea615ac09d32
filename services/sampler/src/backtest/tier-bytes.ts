import { type BlobStore, listSegments, segmentOverhead, type Tier } from '@winnow/storage'

/** What lies in objects whose size depends on which traces are kept. */
export const keptTiers = ['warm', 'cold'] as const
export type KeptTier = (typeof keptTiers)[number]

/** How large the objects of a tier become: a part for each object, and one for every byte of slices in it. */
export interface TierRate {
  readonly bytesPerObject: number
  readonly bytesPerByte: number
  /** Objects that this was taken from. */
  readonly objects: number
}

/** Objects of a tier whose own part is looked at: they are all much the same. */
const lookedAtMax = 16

/**
 * The ledger records how many bytes of slices a decision had written, and the store how large the objects
 * are that came of them: so a tier's bytes are reckoned from the same window's own objects.
 */
export class TierBytes {
  readonly #blobs: BlobStore
  readonly #sizes: ReadonlyMap<string, number>
  readonly #sums: Readonly<Record<KeptTier, { slices: number; objects: string[] }>> = {
    warm: { slices: 0, objects: [] },
    cold: { slices: 0, objects: [] },
  }
  #ledgerBytes = 0

  private constructor(blobs: BlobStore, sizes: ReadonlyMap<string, number>) {
    this.#blobs = blobs
    this.#sizes = sizes
  }

  /** Lists the objects since `sinceMs`: of each its name and its size. */
  static async of(blobs: BlobStore, sinceMs: number): Promise<TierBytes> {
    const sizes = new Map<string, number>()
    for (const tier of ['ledger', ...keptTiers] as const satisfies readonly Tier[]) {
      for await (const { key, bytes } of listSegments(blobs, tier, { sinceMs })) {
        sizes.set(key, bytes)
      }
    }
    return new TierBytes(blobs, sizes)
  }

  /** Of a segment of the ledger: the bytes of the slices that its decisions had written. */
  segment(ledgerKey: string, slices: number): void {
    this.#ledgerBytes += this.#sizes.get(ledgerKey) ?? 0
    if (slices === 0) return
    for (const tier of keptTiers) {
      const key = ledgerKey.replace(/^ledger\//, `${tier}/`)
      if (!this.#sizes.has(key)) continue
      this.#sums[tier].slices += slices
      this.#sums[tier].objects.push(key)
    }
  }

  /** Of all decisions, whatever becomes of them: another policy changes next to nothing of it. */
  get ledgerBytes(): number {
    return this.#ledgerBytes
  }

  /** Undefined: the window has no object of the tier. */
  async rate(tier: KeptTier): Promise<TierRate | undefined> {
    const { slices, objects } = this.#sums[tier]
    if (objects.length === 0) return undefined
    const bytes = objects.reduce((sum, key) => sum + (this.#sizes.get(key) ?? 0), 0)
    const step = Math.ceil(objects.length / lookedAtMax)
    const own: number[] = []
    for (let at = 0; at < objects.length; at += step) {
      const key = objects[at] as string
      const overhead = await segmentOverhead(this.#blobs, { key, bytes: this.#sizes.get(key) ?? 0 })
      if (overhead !== undefined) own.push(overhead)
    }
    const perObject = own.reduce((sum, one) => sum + one, 0) / Math.max(1, own.length)
    const bytesPerObject = Math.min(perObject, bytes / objects.length)
    const bytesPerByte = (bytes - bytesPerObject * objects.length) / slices
    return { bytesPerObject, bytesPerByte, objects: objects.length }
  }
}

/** Of so many bytes of slices in as many objects as there were. */
export function tierBytes(rate: TierRate | undefined, slices: number): number | null {
  if (slices === 0) return 0
  if (rate === undefined) return null
  return Math.round(rate.bytesPerObject * rate.objects + rate.bytesPerByte * slices)
}
