import { z } from 'zod'

/** A UTC day, or a time with its offset; what no calendar has is neither. */
export const rfc3339 = z.union([
  z.iso.date(),
  z.iso.datetime({ offset: true }),
  // To the minute, as people write it.
  z.iso.datetime({ offset: true, precision: -1 }),
])

/**
 * Milliseconds since 1970 of an RFC 3339 date (the day's begin, UTC) or time; undefined for any other text, for
 * `2026-02-30` too, which `Date.parse` takes for a day of March, and for a time without its offset.
 */
export function rfc3339Ms(text: string): number | undefined {
  return rfc3339.safeParse(text).success ? Date.parse(text) : undefined
}
