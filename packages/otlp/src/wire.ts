// Hot: the writer decodes every kept span through this cursor. One reader a call, no object a field.
import { PipelineError } from '@winnow/runtime'

/** What may follow a field number. Groups (3, 4) are skipped, as every reader of today does. */
export const wireVarint = 0
export const wireFixed64 = 1
export const wireBytes = 2
export const wireGroup = 3
export const wireGroupEnd = 4
export const wireFixed32 = 5

/** Groups in groups, all of them unknown fields: nobody sends one, so a deep nest is an attack. */
export const groupDepthMax = 32

/**
 * Messages in one payload. An empty message is 2 bytes on the wire and some 100 in memory, so that
 * a 64 MiB request could ask for gigabytes; a real one of that size has under 2 million.
 */
export const messagesMax = 4_000_000

/** Known messages in one another: the envelope's six and three for each of the 64 values. */
const nestingMax = 256

/**
 * A cursor over one protobuf message and the messages in it. Reads what proto3 senders write, and
 * refuses everything else with PAYLOAD_INVALID, naming message, field and byte: a field that runs
 * past its message, a truncated or over-long varint, field number 0, a wire type that does not
 * exist. The bytes are borrowed; strings and byte fields that it returns are copies.
 *
 *     const message = reader.enter('Span')      // reads the length, narrows `more` to the message
 *     while (reader.more()) switch (reader.tag()) { case 10: …; default: reader.skip() }
 *     reader.leave(message)
 */
export class WireReader {
  /** Keys of attributes whose values are passed over; none where absent. */
  skips: ((key: string) => boolean) | undefined
  readonly #bytes: Uint8Array
  readonly #buffer: Buffer
  readonly #view: DataView
  /** Names of the messages being read, outermost first, for errors alone. */
  readonly #names: string[] = []
  #depth = 0
  #messages = 0
  #pos = 0
  #end: number
  #tag = 0
  /** Upper half of the varint last read by {@link #varint}, unsigned; it returns the lower. */
  #high = 0
  /** Where the last 16-byte id lies, and its text: the spans of one trace follow one another. */
  #idPos = -1
  #idText = ''

  constructor(bytes: Uint8Array, name: string) {
    // Never the Buffer that it may be: Buffer's `slice` is a view, and indexing two classes is slower.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#end = bytes.byteLength
    this.#names.push(name)
  }

  /** Whether the message entered last has a field left. */
  more(): boolean {
    return this.#pos < this.#end
  }

  /** The next field's number and wire type as they stand on the wire: number * 8 + type. */
  tag(): number {
    const byte = this.#bytes[this.#pos] as number
    // A field number below 16 with a real wire type, and not number 0: nearly every tag there is.
    if (byte >= 8 && byte < 128 && (byte & 7) < 6) {
      this.#pos++
      this.#tag = byte
      return byte
    }
    return this.#longTag()
  }

  #longTag(): number {
    const low = this.#varint()
    if (this.#high !== 0) throw this.#malformed('has a field number above 2^29 - 1')
    this.#tag = low
    if (low >>> 3 === 0) throw this.#malformed('has a field with number 0')
    if ((low & 7) > wireFixed32) throw this.#malformed(`has wire type ${low & 7}`)
    return low
  }

  /** Reads the length of the message field and makes it the current one. Give the result to `leave`. */
  enter(name: string): number {
    const end = this.#lengthEnd()
    if (++this.#messages > messagesMax) throw this.#tooMany()
    if (++this.#depth > nestingMax) throw this.#malformed('is nested too deep')
    this.#names[this.#depth] = name
    const outer = this.#end
    this.#end = end
    return outer
  }

  leave(outer: number): void {
    this.#end = outer
    this.#depth--
  }

  /** Refuses the current field for a reason of the caller's. */
  refuse(reason: string): PipelineError {
    return this.#malformed(reason)
  }

  uint32(): number {
    return this.#varint() >>> 0
  }

  int32(): number {
    return this.#varint() | 0
  }

  bool(): boolean {
    return (this.#varint() | this.#high) !== 0
  }

  int64(): bigint {
    const low = this.#varint() >>> 0
    const high = this.#high
    if (high < 0x20_0000) return BigInt(high * 0x1_0000_0000 + low)
    return BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low))
  }

  fixed32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  fixed64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true)
  }

  double(): number {
    return this.#view.getFloat64(this.#take(8), true)
  }

  /** A copy, so that a value outlives the buffer it came in. */
  bytes(): Uint8Array {
    const end = this.#lengthEnd()
    const value = this.#bytes.slice(this.#pos, end)
    this.#pos = end
    return value
  }

  /**
   * UTF-8. A sequence that is none becomes U+FFFD: the specification forbids it, but a span with one
   * mangled attribute still tells what happened, and refusing it would lose all the others.
   */
  string(): string {
    const end = this.#lengthEnd()
    const start = this.#pos
    this.#pos = end
    const length = end - start
    if (length === 0) return ''
    return this.#buffer.toString('utf8', start, end)
  }

  /** A string that comes again and again (keys, names): one comparison instead of one allocation. */
  cachedString(): string {
    const end = this.#lengthEnd()
    const start = this.#pos
    const length = end - start
    if (length === 0 || length > cachedLengthMax) return this.#uncached(start, end)
    const bytes = this.#bytes
    const slot =
      (length * 31 +
        (bytes[start] as number) * 7 +
        (bytes[end - 1] as number) * 131 +
        (bytes[start + (length >> 1)] as number) * 17 +
        (bytes[end - (length >> 2) - 1] as number) * 59) &
      (cacheSlots - 1)
    const known = cache[slot] as string
    if (known.length === length && sameAscii(known, bytes, start)) {
      this.#pos = end
      return known
    }
    const text = this.#uncached(start, end)
    // Only ASCII is cached: there a character is a byte, and the comparison above is exact.
    if (text.length === length && sameAscii(text, bytes, start)) cache[slot] = text
    return text
  }

  #uncached(start: number, end: number): string {
    this.#pos = end
    return start === end ? '' : this.#buffer.toString('utf8', start, end)
  }

  /** A byte field as lower-case hex, of whatever length it has. */
  hex(): string {
    const end = this.#lengthEnd()
    const start = this.#pos
    this.#pos = end
    if (end - start !== 16) return this.#buffer.toString('hex', start, end)
    const known = this.#idPos
    if (known >= 0 && sameBytes(this.#bytes, known, start, 16)) return this.#idText
    this.#idPos = start
    this.#idText = this.#buffer.toString('hex', start, end)
    return this.#idText
  }

  /** Passes over the field whose tag was read last, whatever it is. */
  skip(): void {
    const type = this.#tag & 7
    if (type !== wireGroup) this.#skipScalar(type)
    else this.#skipGroup(this.#tag >>> 3)
  }

  #skipGroup(number: number): void {
    const open = [number]
    while (open.length > 0) {
      if (!this.more()) throw this.#malformed('has a group without an end')
      const tag = this.tag()
      if ((tag & 7) === wireGroup) {
        if (open.push(tag >>> 3) > groupDepthMax) throw this.#malformed('has groups too deep')
      } else if ((tag & 7) === wireGroupEnd) {
        if (open.pop() !== tag >>> 3) throw this.#malformed('ends a group it did not begin')
      } else {
        this.#skipScalar(tag & 7)
      }
    }
  }

  #skipScalar(type: number): void {
    if (type === wireVarint) this.#varint()
    else if (type === wireFixed64) this.#take(8)
    else if (type === wireBytes) this.#pos = this.#lengthEnd()
    else if (type === wireFixed32) this.#take(4)
    else throw this.#malformed('ends a group it did not begin')
  }

  /** Reads a length and proves that so many bytes are left in this message. */
  #lengthEnd(): number {
    const pos = this.#pos
    const byte = pos < this.#end ? (this.#bytes[pos] as number) : 128
    let length = byte
    if (byte < 128) {
      this.#pos = pos + 1
      this.#high = 0
    } else {
      length = this.#varint() >>> 0
    }
    if (this.#high !== 0 || length > this.#end - this.#pos) {
      throw this.#malformed(`runs past the end of its message`)
    }
    return this.#pos + length
  }

  #take(count: number): number {
    const start = this.#pos
    if (count > this.#end - start) throw this.#malformed('runs past the end of its message')
    this.#pos = start + count
    return start
  }

  /** Returns the lower 32 bits, signed, and leaves the upper ones in `#high`, unsigned. */
  #varint(): number {
    const bytes = this.#bytes
    const end = this.#end
    let pos = this.#pos
    let low = 0
    this.#high = 0
    for (let shift = 0; shift < 35; shift += 7) {
      if (pos >= end) throw this.#malformed('has a truncated varint')
      const byte = bytes[pos++] as number
      if (shift < 28) low |= (byte & 127) << shift
      else {
        low |= (byte & 15) << 28
        this.#high = (byte & 127) >>> 4
      }
      if (byte < 128) {
        this.#pos = pos
        return low
      }
    }
    let high = this.#high
    for (let shift = 3; shift < 38; shift += 7) {
      if (pos >= end) throw this.#malformed('has a truncated varint')
      const byte = bytes[pos++] as number
      // The tenth byte holds bit 63 alone; an eleventh does not exist.
      if (shift === 31 && byte > 1) throw this.#malformed('has a varint of more than 64 bits')
      high |= (byte & 127) << shift
      if (byte < 128) break
    }
    this.#pos = pos
    this.#high = high >>> 0
    return low
  }

  #malformed(what: string): PipelineError {
    const name = this.#names[this.#depth] ?? 'message'
    return new PipelineError(
      'PAYLOAD_INVALID',
      `not valid protobuf: field ${this.#tag >>> 3} of ${name} ${what}, at byte ${this.#pos}; send what an OTLP exporter encodes`,
    )
  }

  #tooMany(): PipelineError {
    return new PipelineError(
      'PAYLOAD_TOO_LARGE',
      `more than ${messagesMax} messages in one payload, at byte ${this.#pos}; send smaller batches`,
    )
  }
}

/** Longer strings are hardly ever the same twice, and comparing them costs more than a copy. */
const cachedLengthMax = 64
const cacheSlots = 2048
/** One for the process: it holds at most `cacheSlots` short strings, the last one seen of each hash. */
const cache: string[] = new Array(cacheSlots).fill('')

function sameAscii(text: string, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) !== bytes[start + i]) return false
  }
  return true
}

function sameBytes(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) {
    if (bytes[a + i] !== bytes[b + i]) return false
  }
  return true
}
