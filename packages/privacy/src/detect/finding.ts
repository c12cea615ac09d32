/** What the built-in detectors find. Patterns of the configuration and names add words of their own. */
export const detectedKinds = [
  'email',
  'phone',
  'card',
  'iban',
  'national_id',
  'ip',
  'secret',
  'url_credentials',
] as const

export type DetectedKind = (typeof detectedKinds)[number]

/** One thing found in `bytes[start, end)`. */
export interface Finding {
  readonly start: number
  readonly end: number
  /** The word of its token: a {@link DetectedKind}, or that of a pattern. */
  readonly kind: string
  /** The same for every way to write it: what the token is made of. */
  readonly canonical: string
  /** What stands in its place, where that is no token of its own: an encoded part, redacted inside. */
  readonly replacement?: Uint8Array
  /** Of such a part: what was found in it. */
  readonly inner?: readonly Finding[]
}

/** What a detector at one place of the bytes says: where the thing ends, and what it is. */
export interface Match {
  readonly start: number
  readonly end: number
  readonly kind: string
  readonly canonical: string
}
