import { Detector, type DetectorOptions } from './detect/detector.ts'
import { detectedKinds, type Finding } from './detect/finding.ts'
import { JsonPlaces } from './json-places.ts'
import { type KeyNature, keyNature, spared } from './key-nature.ts'
import { isHidden } from './secret-keys.ts'
import type { Tokens } from './tokens.ts'

/** Told of everything that was replaced. */
export type OnFound = (kind: string) => void

/** A string is looked at again after something was found in it, so many times at most. */
const roundsMax = 4

const nobody: OnFound = () => {}

/** Puts tokens of one tenant in the place of what a detector finds. Not to be entered twice at a time. */
export class Redactor {
  readonly #options: DetectorOptions
  readonly #detectors: (Detector | undefined)[] = []
  readonly #tokens: Tokens

  constructor(tokens: Tokens, options: DetectorOptions = {}) {
    this.#options = options
    this.#tokens = tokens
  }

  /**
   * `bytes[start, end)`, UTF-8, redacted; undefined: there is nothing to redact. What its key says of it spares
   * some of the kinds; a secret's is redacted whole, by {@link secret}.
   */
  redact(
    bytes: Buffer,
    start: number,
    end: number,
    onFound: OnFound = nobody,
    nature: KeyNature = keyNature.any,
  ): Buffer | undefined {
    const detector = this.#detectorOf(nature)
    const found = detector.find(bytes, start, end, this.#rewrite)
    if (found === undefined) return undefined
    count(found, onFound)
    let redacted = this.#replaced(bytes, start, end, found)
    // What stood right beside something else may only now be seen for what it is.
    for (let round = 1; round < roundsMax; round++) {
      const more = detector.find(redacted, 0, redacted.length, this.#rewrite)
      if (more === undefined) break
      count(more, onFound)
      redacted = this.#replaced(redacted, 0, redacted.length, more)
    }
    return redacted
  }

  /** The same of a text; the text itself where there is nothing. */
  redactText(text: string, onFound: OnFound = nobody, nature: KeyNature = keyNature.any): string {
    const bytes = Buffer.from(text)
    return this.redact(bytes, 0, bytes.length, onFound, nature)?.toString('utf8') ?? text
  }

  /** The token of a whole value that is a secret; undefined where it is hidden or a token already. */
  secret(text: string): string | undefined {
    return text === '' || isHidden(text) ? undefined : this.#tokens.token('secret', text)
  }

  /** The token of a thing whose kind is known without looking. */
  token(kind: string, thing: string): string {
    return this.#tokens.token(kind, thing)
  }

  readonly #rewrite = (bytes: Buffer, found: readonly Finding[]): Uint8Array =>
    this.#replaced(bytes, 0, bytes.length, found)

  #detectorOf(nature: KeyNature): Detector {
    const known = this.#detectors[nature]
    if (known !== undefined) return known
    const kinds = this.#options.kinds ?? detectedKinds
    const made = new Detector({
      ...this.#options,
      kinds: kinds.filter(kind => !spared[nature].includes(kind)),
    })
    this.#detectors[nature] = made
    return made
  }

  /** A number of a JSON text becomes a string of it: what reads the text can still do so. */
  #replaced(bytes: Buffer, start: number, end: number, found: readonly Finding[]): Buffer {
    const places = JsonPlaces.of(bytes, start, end)
    const parts: Uint8Array[] = []
    let at = start
    for (const one of found) {
      if (one.start < at) continue
      const bare = places?.bareNumber(one.start, one.end, at)
      parts.push(bytes.subarray(at, bare?.start ?? one.start))
      const token = one.replacement ?? this.#tokens.token(one.kind, one.canonical)
      const quote = bare?.quote ?? ''
      parts.push(typeof token === 'string' ? Buffer.from(quote + token + quote) : token)
      at = bare?.end ?? one.end
    }
    parts.push(bytes.subarray(at, end))
    return Buffer.concat(parts)
  }
}

function count(found: readonly Finding[], onFound: OnFound): void {
  for (const { kind, inner } of found) {
    if (inner === undefined) onFound(kind)
    else count(inner, onFound)
  }
}
