import { isUtf8 } from 'node:buffer'
import { rewriteStrings, type StringRewriter, type TextPlace, textPlace } from '@winnow/otlp'
import { isClearText, levelOf, type NameSearch } from '@winnow/privacy'

/** A text of so many bytes cannot be prose, see `isClearText`. */
const clearBytes = 12

/**
 * Shows the free text of OTLP to a search, and puts in its place what the search says: the values of attributes of
 * class content, whatever stands in a map that is a value, status messages, bodies of log records, and prose anywhere.
 */
abstract class FreeText implements StringRewriter {
  rewrite(
    bytes: Buffer,
    start: number,
    end: number,
    keyStart: number,
    keyEnd: number,
    place: TextPlace,
  ): Uint8Array | undefined {
    const isFree = isFreeText(bytes, keyStart, keyEnd, place)
    if (!isFree && end - start <= clearBytes) return undefined
    if (place === textPlace.bytes && !isUtf8(bytes.subarray(start, end))) return undefined
    const text = bytes.toString('utf8', start, end)
    return isFree || !isClearText(text) ? this.text(text) : undefined
  }

  protected abstract text(text: string): Uint8Array | undefined

  /** Whatever lies under such a key is a token by now. */
  holdsSecret(): boolean {
    return false
  }

  abstract rewrote(service: string): void
}

function isFreeText(bytes: Buffer, keyStart: number, keyEnd: number, place: TextPlace): boolean {
  if (place === textPlace.name) return false
  if (place === textPlace.free || keyStart === keyEnd) return true
  return levelOf(bytes.toString('utf8', keyStart, keyEnd)) === 'content'
}

class Shown extends FreeText {
  readonly #search: NameSearch

  constructor(search: NameSearch) {
    super()
    this.#search = search
  }

  protected text(text: string): undefined {
    this.#search.add(text)
  }

  rewrote(): void {}
}

class Replaced extends FreeText {
  readonly #search: NameSearch
  readonly #onRewrote: (service: string) => void

  constructor(search: NameSearch, onRewrote: (service: string) => void) {
    super()
    this.#search = search
    this.#onRewrote = onRewrote
  }

  protected text(text: string): Uint8Array | undefined {
    const redacted = this.#search.redacted(text)
    return redacted === undefined ? undefined : Buffer.from(redacted)
  }

  rewrote(service: string): void {
    this.#onRewrote(service)
  }
}

/** OTLP without the names that the search finds; the very same buffer where there is none. */
export async function redactNames(
  bytes: Buffer,
  signal: 'traces' | 'logs',
  search: NameSearch,
  onRewrote: (service: string) => void,
): Promise<Buffer> {
  rewriteStrings(bytes, signal, new Shown(search))
  if (search.isEmpty) return bytes
  await search.ask()
  return rewriteStrings(bytes, signal, new Replaced(search, onRewrote))
}
