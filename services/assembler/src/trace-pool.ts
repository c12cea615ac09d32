// Hot: what open traces hold is written here slice by slice.

/** A chunk: the number of the next one of its chain, then bytes. */
export const chunkBytes = 64
const linkBytes = 4
const chunkRoom = chunkBytes - linkBytes
const chunkWords = chunkBytes / 4
const chunkRoomWords = chunkRoom / 4
const chunkBits = 12
const chunksPerBlock = 1 << chunkBits

/** The bytes of one trace: a chain of chunks. -1: none yet. */
export interface Chain {
  head: number
  tail: number
  /** Bytes in all. */
  byteCount: number
}

/**
 * Memory outside of the garbage collector for bytes that are appended to chains by the hundred thousand
 * and are let go chain by chain. As objects they took six times as much, and collecting them was a
 * quarter of the stage.
 *
 *   blocks    │ chunk 0 │ chunk 1 │ … │ chunk 4095 │ chunk 4096 │ …
 *   a chain     head ──▶ … ──▶ tail, filled from the front; what is free is a chain as well
 */
export class TracePool {
  readonly #blocks: Buffer[] = []
  /** The same memory as words. */
  readonly #words: Int32Array[] = []
  #free = -1
  #used = 0

  /** Bytes of memory taken. */
  get bytes(): number {
    return this.#blocks.length * chunksPerBlock * chunkBytes
  }

  append(chain: Chain, bytes: Uint8Array, length: number): void {
    let used = chain.byteCount % chunkRoom
    for (let from = 0; from < length; ) {
      if (used === 0) this.#extend(chain)
      const block = this.#blocks[chain.tail >> chunkBits] as Buffer
      const at = (chain.tail & (chunksPerBlock - 1)) * chunkBytes + linkBytes + used
      const count = Math.min(chunkRoom - used, length - from)
      for (let byte = 0; byte < count; byte++) block[at + byte] = bytes[from + byte] as number
      from += count
      used = (used + count) % chunkRoom
    }
    chain.byteCount += length
  }

  /** Copies a chain's bytes into memory that has room for them, and for as many more as fill a chunk. */
  copy(chain: Chain, to: Int32Array): void {
    let chunk = chain.head
    const end = Math.ceil(chain.byteCount / chunkRoom) * chunkRoomWords
    for (let done = 0; done < end; done += chunkRoomWords) {
      const words = this.#words[chunk >> chunkBits] as Int32Array
      const at = (chunk & (chunksPerBlock - 1)) * chunkWords
      for (let word = 0; word < chunkRoomWords; word++) {
        to[done + word] = words[at + 1 + word] as number
      }
      chunk = words[at] as number
    }
  }

  release(chain: Chain): void {
    if (chain.head < 0) return
    this.#used -= Math.ceil(chain.byteCount / chunkRoom)
    this.#link(chain.tail, this.#free)
    this.#free = chain.head
    chain.head = -1
    chain.tail = -1
    chain.byteCount = 0
    if (this.#used === 0) this.#clear()
  }

  /** Memory that a burst took goes back once nothing is open; a quiet night is enough. */
  #clear(): void {
    this.#blocks.length = 0
    this.#words.length = 0
    this.#free = -1
  }

  #extend(chain: Chain): void {
    if (this.#free < 0) this.#addBlock()
    const chunk = this.#free
    this.#free = this.#nextOf(chunk)
    this.#used++
    if (chain.head < 0) chain.head = chunk
    else this.#link(chain.tail, chunk)
    chain.tail = chunk
  }

  #addBlock(): void {
    const first = this.#blocks.length * chunksPerBlock
    const block = Buffer.allocUnsafeSlow(chunksPerBlock * chunkBytes)
    this.#blocks.push(block)
    this.#words.push(new Int32Array(block.buffer))
    for (let chunk = first + chunksPerBlock - 1; chunk >= first; chunk--) {
      this.#link(chunk, this.#free)
      this.#free = chunk
    }
  }

  #nextOf(chunk: number): number {
    const words = this.#words[chunk >> chunkBits] as Int32Array
    return words[(chunk & (chunksPerBlock - 1)) * chunkWords] as number
  }

  #link(chunk: number, next: number): void {
    const words = this.#words[chunk >> chunkBits] as Int32Array
    words[(chunk & (chunksPerBlock - 1)) * chunkWords] = next
  }
}

/** Memory to copy chains of up to so many bytes into, as words and as bytes. */
export class ChainMemory {
  words = new Int32Array(0)
  bytes = Buffer.alloc(0)

  reserve(bytes: number): this {
    if (bytes + chunkRoom <= this.bytes.length) return this
    this.words = new Int32Array(Math.ceil((2 * bytes + chunkRoom) / 4))
    this.bytes = Buffer.from(this.words.buffer)
    return this
  }
}
