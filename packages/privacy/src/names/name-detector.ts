import type { NameSpan } from './name-spans.ts'

/** Why nobody could look at a text. */
export type UnscannedReason =
  /** The detector cannot be reached, or failed so often that it is left alone for a while. */
  | 'down'
  /** No answer before the time for the request was over. */
  | 'late'
  /** It answered with another status than 200. */
  | 'refused'
  /** Its answer was too large, or no answer to what was asked. */
  | 'malformed'
  /** The text is larger than `textBytesMax`. */
  | 'too_large'
  /** More texts than `textsMax` in one request, or too many batches that wait. */
  | 'too_many'

export type NameAnswer =
  /** Of each text in its place; undefined: what was said of it cannot be so. */
  | { readonly kind: 'found'; readonly spans: readonly (readonly NameSpan[] | undefined)[] }
  /** `detail` is for people, and holds nothing of a text or of what was answered. */
  | { readonly kind: 'failed'; readonly reason: UnscannedReason; readonly detail: string }

export interface NameQuestion {
  /** One or more, none empty, all well formed. */
  readonly texts: readonly string[]
  /** As the detector calls it: `en`. */
  readonly language: string
  /** Once it aborts, the answer is no longer wanted. */
  readonly signal: AbortSignal
}

/** Somebody who can tell names in a text. */
export interface NameDetector {
  /** Never rejects. */
  find(question: NameQuestion): Promise<NameAnswer>
  /** Ends what is under way. */
  close(): void
}
