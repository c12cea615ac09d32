// Hot: asked and told once a root; a bar itself is taken anew after a share of new values alone.
import { bucketMax, bucketOf, DDSketch, upperBoundMs } from './ddsketch.ts'

/** A bar is taken anew after this share of new values: its rank is off by less than 0.2 %. */
const refreshShare = 512
/**
 * A pane stands apart where more than this multiple of 1 - quantile lies above the bar of the panes
 * before it: something has happened, and what happened is not yet what is usual.
 */
const apartMultiple = 3
/** So many standard deviations of such a count are chance. */
const chanceSigmas = 3
/** Fewer values do not tell what is usual. */
const usualMin = 100
/** Of 1 - quantile: more matches than this share of the roots are over the budget. */
const budgetMultiple = 2
/** Matches over the budget that raise nothing: chance has so many once in 20,000 roots. */
const burstMax = 8
/** Each further one raises the bar by so many buckets: some 22 %. */
const buckets = 20

/** The bar of one quantile of a key, with what of the budget it has used up. */
export interface Bar {
  readonly quantile: number
  /** That of what is usual; undefined when nothing is known. */
  bucket: number | undefined
  /** Values it was not taken from, because their panes stand apart. */
  apart: number
  /** Values that there were when it was taken; 0: to be taken anew. */
  atCount: number
  /** Matches beyond the budget so far, never below 0. */
  over: number
}

export function newBar(quantile: number): Bar {
  return { quantile, bucket: undefined, apart: 0, atCount: 0, over: 0 }
}

/** Takes the bar anew where `panes`, of `count` values in all, have grown by more than a little. */
export function refreshBar(
  bar: Bar,
  panes: ReadonlyMap<number, DDSketch>,
  count: number,
  countMin: number,
): void {
  if (bar.atCount > 0 && (count - bar.atCount) * refreshShare <= bar.atCount) return
  bar.atCount = count
  usual.clear()
  for (const number of [...panes.keys()].sort((a, b) => a - b)) {
    const pane = panes.get(number) as DDSketch
    if (usual.count < Math.max(countMin, usualMin) || !standsApart(pane, bar.quantile))
      usual.merge(pane)
  }
  bar.apart = count - usual.count
  bar.bucket = usual.quantileBucket(bar.quantile)
}

/** Where the bar stands now, its raise included. */
export function bucketInForce({ bucket, over }: Bar): number | undefined {
  if (bucket === undefined || over <= burstMax) return bucket
  return Math.min(bucketMax, bucket + Math.ceil((over - burstMax) * buckets))
}

export const isRaised = ({ over }: Bar): boolean => over > burstMax

/** Tells the bar of a root that was compared with it. */
export function spendBudget(bar: Bar, value: number): void {
  const bucket = bucketInForce(bar)
  if (bucket === undefined) return
  const spent = bucketOf(value) > bucket ? 1 : 0
  bar.over = Math.max(0, bar.over + spent - budgetMultiple * (1 - bar.quantile))
}

/** The threshold of a bucket: all values of the bucket lie at or below it. */
export const thresholdOfBucket = upperBoundMs

/** What the panes taken so far hold; one for all, used and cleared within one call. */
const usual = new DDSketch()

function standsApart(pane: DDSketch, quantile: number): boolean {
  const bucket = usual.quantileBucket(quantile)
  if (bucket === undefined) return false
  const expected = (1 - quantile) * pane.count
  const most = apartMultiple * expected + chanceSigmas * Math.sqrt(expected)
  return pane.countAbove(bucket) > most
}
