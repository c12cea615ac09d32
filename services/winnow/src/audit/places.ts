import type { BlobInfo, BlobStore, Tier } from '@winnow/storage'

const tiers: readonly Tier[] = ['ledger', 'warm', 'cold']

/** What lies by one name in the folders of the tiers. */
export interface Place {
  readonly objects: ReadonlyMap<Tier, BlobInfo>
}

/**
 * Every name below the tiers' folders once, ascending, with what each tier has by it: segments of one
 * range have one name in all three, and every listing is sorted by it.
 */
export async function* places(blobs: BlobStore, onListed?: () => void): AsyncGenerator<Place> {
  const listings = tiers.map(tier => ({
    tier,
    objects: blobs.list(`${tier}/`)[Symbol.asyncIterator](),
  }))
  const next = async ({ tier, objects }: (typeof listings)[number]) => {
    const { value, done } = await objects.next()
    if (done === true) return undefined
    onListed?.()
    return { tier, objects, object: value, name: value.key.slice(tier.length + 1) }
  }
  let heads = await Promise.all(listings.map(next))
  for (;;) {
    let first: string | undefined
    for (const head of heads) {
      if (head !== undefined && (first === undefined || isBefore(head.name, first))) {
        first = head.name
      }
    }
    if (first === undefined) return
    const found = heads.filter(head => head?.name === first)
    yield { objects: new Map(found.flatMap(head => (head ? [[head.tier, head.object]] : []))) }
    heads = await Promise.all(
      heads.map(head => (head?.name === first && head !== undefined ? next(head) : head)),
    )
  }
}

/** As listings are sorted: by UTF-8 bytes, which keys of ours, and all that `checkBlobKey` lets through, are. */
function isBefore(a: string, b: string): boolean {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0
}
