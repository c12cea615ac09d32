// Hot: a few look-ups a counting decision.

/**
 * Texts as small numbers, for as long as something uses them: clients choose most of them, so that what
 * is used no more has to leave.
 */
export class NameTable {
  readonly #numbers = new Map<string, number>()
  /** By number; 0 is null, which is no text. */
  readonly #names: (string | undefined)[] = [undefined]
  readonly #free: number[] = []
  #uses = new Uint32Array(64)
  #bytes = 0

  /** At most what the texts that are held take, with their places. */
  get bytes(): number {
    return this.#bytes
  }

  /** Undefined: it is not held. */
  find(name: string): number | undefined {
    return this.#numbers.get(name)
  }

  of(number: number): string | null {
    return this.#names[number] ?? null
  }

  /** One use more. */
  take(name: string | null | undefined): number {
    if (typeof name !== 'string') return 0
    const number = this.#numbers.get(name) ?? this.#add(name)
    this.#uses[number] = (this.#uses[number] as number) + 1
    return number
  }

  /** One use less. */
  release(number: number): void {
    if (number === 0) return
    const left = (this.#uses[number] as number) - 1
    this.#uses[number] = left
    if (left > 0) return
    const name = this.#names[number] as string
    this.#numbers.delete(name)
    this.#names[number] = undefined
    this.#free.push(number)
    this.#bytes -= nameBytes(name)
  }

  #add(name: string): number {
    const number = this.#free.pop() ?? this.#names.length
    if (number >= this.#uses.length) {
      const uses = new Uint32Array(2 * this.#uses.length)
      uses.set(this.#uses)
      this.#uses = uses
    }
    this.#names[number] = name
    this.#numbers.set(name, number)
    this.#bytes += nameBytes(name)
    return number
  }
}

/** Of a text whose characters need two bytes each; 16 of them its head, the rest places in a map and lists. */
function nameBytes(name: string): number {
  return 80 + 2 * name.length
}
