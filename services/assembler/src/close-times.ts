// `ofService` and `ofRoot` are hot where any are configured: once a service and a root of a slice.
import { factTextBytesMax } from '@winnow/model'
import { durationOrNone } from '@winnow/runtime'
import { z } from 'zod'

/** A checkpoint has six bits for a line's number, and none says 0. */
export const closeTimesMax = 63

/** As facts have them: a longer name is cut there, and would be found under no name. */
const name = z
  .string()
  .min(1)
  .refine(text => Buffer.byteLength(text) <= factTextBytesMax, {
    error: `names are compared up to ${factTextBytesMax} bytes; give at most so many`,
  })

/** Waits of some traces that differ from those of the others. */
export const closeTimesSchema = z
  .array(
    z
      .strictObject({
        /** A trace in which this service has a span. With `root`, that root's. */
        service: name.optional(),
        /** A trace whose root, or entry span, has this name. */
        root: name.optional(),
        quiet: durationOrNone(),
        rootless: durationOrNone(),
        openMax: durationOrNone(),
      })
      .refine(({ service, root }) => service !== undefined || root !== undefined, {
        error: 'wants a service, a root, or both',
      })
      .refine(
        ({ quiet, rootless, openMax }) => [quiet, rootless, openMax].some(one => one !== undefined),
        { error: 'wants one of quiet, rootless and openMax' },
      ),
  )
  .max(closeTimesMax)
  .default([])

export type CloseTimes = z.infer<typeof closeTimesSchema>

/** What each line is found by, in their order: the same line under another number, or with other waits, has it too. */
export function lineNames(lines: CloseTimes): readonly string[] {
  return lines.map(({ service = null, root = null }) => JSON.stringify([service, root]))
}

/** Finds which line of `closeTimes` is a trace's: numbers from 1 on, 0 for none. The smallest number wins. */
export class CloseTimesFinder {
  /** Names as JSON, as facts have them. */
  readonly #services = new Map<string, number>()
  readonly #roots = new Map<
    string,
    { readonly service: string | undefined; readonly line: number }[]
  >()

  constructor(lines: CloseTimes) {
    for (const [at, { service, root }] of lines.entries()) {
      const line = at + 1
      const ofService = service === undefined ? undefined : JSON.stringify(service)
      if (root !== undefined) {
        const key = JSON.stringify(root)
        this.#roots.set(key, [...(this.#roots.get(key) ?? []), { service: ofService, line }])
      } else if (ofService !== undefined && !this.#services.has(ofService)) {
        this.#services.set(ofService, line)
      }
    }
  }

  /** `service` as JSON. */
  ofService(service: string): number {
    return this.#services.get(service) ?? 0
  }

  /** Both as JSON. */
  ofRoot(service: string, root: string): number {
    const lines = this.#roots.get(root)
    if (lines === undefined) return 0
    for (let at = 0; at < lines.length; at++) {
      const one = lines[at] as (typeof lines)[number]
      if (one.service === undefined || one.service === service) return one.line
    }
    return 0
  }
}

/** The line before the other; 0 is none. */
export function firstLine(a: number, b: number): number {
  if (a === 0 || b === 0) return a + b
  return a < b ? a : b
}
