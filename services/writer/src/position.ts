import type { Lease } from '@winnow/bus'
import {
  acceptsVersion,
  type CountingState,
  countingStart,
  formats,
  isNewerVersion,
  writtenVersion,
} from '@winnow/model'
import { isRetryable, PipelineError } from '@winnow/runtime'

/**
 * Commits everything before `offset` with the counting state there. Refused or unanswered it changes
 * nothing: whoever owns the partition next does the same again, and finds it done. False: unanswered.
 */
export async function commitPosition(
  lease: Lease,
  offset: number,
  state: CountingState,
): Promise<boolean> {
  try {
    await lease.commit({ offset, note: noteOf(state) })
    return true
  } catch (error) {
    const isStale = error instanceof PipelineError && error.code === 'STALE_OWNER'
    if (!isStale && !isRetryable(error)) throw error
    return isStale
  }
}

/** The state as a commit's note. */
export function noteOf({ claim, next }: CountingState): string {
  return JSON.stringify({ v: writtenVersion('positionNote'), claim, next })
}

/** And back. No note says that nothing is known; one that cannot be read is DATA_CORRUPT. */
export function stateOf(note: string | undefined): CountingState {
  if (note === undefined || note === '') return countingStart
  const { v, claim, next } = parseNote(note)
  if (
    acceptsVersion('positionNote', v) &&
    Number.isSafeInteger(claim) &&
    Number.isSafeInteger(next)
  ) {
    return { claim: claim as number, next: next as number }
  }
  const remedy = isNewerVersion('positionNote', v)
    ? `has format v ${v}, this release reads up to ${formats.positionNote}: upgrade the writer, or let the newer one write as before (formats: previous)`
    : 'is no state of a writer: another program committed to its group'
  throw new PipelineError('DATA_CORRUPT', `the commit's note ${remedy}`)
}

function parseNote(note: string): { readonly [K in 'v' | 'claim' | 'next']?: unknown } {
  try {
    return JSON.parse(note) ?? {}
  } catch {
    return {}
  }
}
