// Hot: a few texts a slice, into arrays that are never emptied: a new one a slice would be a new allocation.
import { factListMax } from '@winnow/model'

/**
 * At most {@link factListMax} texts of one slice. Once it is full, a text that matters takes the place of
 * the last one that does not; for what a rule would match must not be cut off by what it would not.
 */
export class FactList {
  count = 0
  isTruncated = false
  readonly #texts: string[] = []
  readonly #matters: boolean[] = []

  clear(): void {
    this.count = 0
    this.isTruncated = false
  }

  has(text: string): boolean {
    for (let at = 0; at < this.count; at++) if (this.#texts[at] === text) return true
    return false
  }

  /** Whether a text would be taken; where not, the list is truncated from here on. */
  hasRoom(matters: boolean): boolean {
    if (this.count < factListMax) return true
    this.isTruncated = true
    return matters && this.#matters.lastIndexOf(false) >= 0
  }

  /** After {@link hasRoom} has said so. */
  add(text: string, matters: boolean): void {
    const isFull = this.count === factListMax
    const at = isFull ? this.#matters.lastIndexOf(false) : this.count++
    this.#texts[at] = text
    this.#matters[at] = matters
  }

  /** The first one; there has to be one. */
  get first(): string {
    return this.#texts[0] as string
  }

  joined(): string {
    return this.count === 1 ? this.first : this.#texts.slice(0, this.count).join(',')
  }
}
