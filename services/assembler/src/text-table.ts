/** Texts that are given a number; what comes after them stands where it is used. */
export const sharedTextsMax = 4096

/** Of 16 bits. */
const sharedNumberMax = 0xffff

/** A longer text is not given a number: it is hardly the same in many slices. */
export const sharedTextLengthMax = 256

/**
 * Numbers for texts that many slices have in common: their services and their experiment. Nothing is
 * ever taken out, so that a number means the same for as long as the process lives.
 */
export class TextTable {
  readonly #numbers = new Map<string, number>()
  /** By number; 0 is no text. */
  readonly #texts: string[] = ['']
  /** The same in UTF-8. */
  readonly #bytes: Uint8Array[] = [new Uint8Array()]

  /** 0: the table takes it no more, and it is to be written out. */
  numberOf(text: string): number {
    if (text === '') return 0
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    const isTaken = this.#numbers.size < sharedTextsMax && text.length <= sharedTextLengthMax
    return isTaken ? this.restore(text) : 0
  }

  /** As `numberOf`, also above {@link sharedTextsMax}: of a checkpoint, whose slices are packed already. */
  restore(text: string): number {
    const known = this.#numbers.get(text)
    if (known !== undefined || text === '') return known ?? 0
    if (this.#texts.length > sharedNumberMax) throw new RangeError('no number is left for a text')
    const number = this.#texts.push(text) - 1
    this.#bytes.push(Buffer.from(text))
    this.#numbers.set(text, number)
    return number
  }

  textOf(number: number): string {
    return this.#texts[number] ?? ''
  }

  bytesOf(number: number): Uint8Array {
    return this.#bytes[number] ?? (this.#bytes[0] as Uint8Array)
  }
}

/** Of this process: what one fold packs another one unpacks. */
export const sharedTexts = new TextTable()
