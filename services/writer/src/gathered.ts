import type { OpenSegment } from './open-segment.ts'

/**
 * What all partitions of one writer hold, kept below one limit however many there are: over it the
 * largest is written before its time, and the others take in nothing more until it is.
 */
export class Gathered {
  readonly #bytesMax: number
  readonly #segments = new Set<OpenSegment>()
  readonly #waiting = new Set<() => void>()

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  add(segment: OpenSegment): void {
    this.#segments.add(segment)
  }

  delete(segment: OpenSegment): void {
    this.#segments.delete(segment)
    this.changed()
  }

  /** Memory of all, as an estimate. */
  get bytes(): number {
    let sum = 0
    for (const { bytes } of this.#segments) sum += bytes
    return sum
  }

  /** The one to write now: the largest that can be written, where all together are over the limit. */
  get excess(): OpenSegment | undefined {
    if (this.bytes <= this.#bytesMax) return undefined
    let largest: OpenSegment | undefined
    for (const segment of this.#segments) {
      if (segment.isWritable && segment.bytes > (largest?.bytes ?? 0)) largest = segment
    }
    return largest
  }

  /** Resolves once there is room, or `segment` is itself what makes it; or `ended` has aborted. */
  async room(segment: OpenSegment, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      const { excess } = this
      if (excess === undefined || excess === segment) return
      await new Promise<void>(resolve => {
        const wake = (): void => {
          this.#waiting.delete(wake)
          ended.removeEventListener('abort', wake)
          resolve()
        }
        this.#waiting.add(wake)
        ended.addEventListener('abort', wake)
      })
    }
  }

  /** Something was written. */
  changed(): void {
    for (const wake of [...this.#waiting]) wake()
  }
}
