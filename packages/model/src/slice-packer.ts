// Hot: every slice of every summary is written here.
import type { Slice } from './evidence.ts'
import { factToken } from './fact-tokens.ts'
import { type PackedSlice, packedSlices } from './packed-slice.ts'
import { timesBytes } from './packed-slice-reader.ts'
import { blockFlags, endOfSpan, packedSpanBytesMax, packedSpanFlag } from './packed-spans.ts'
import { blockAt, spanBlockBytes } from './span-blocks.ts'
import type { SpanRef } from './span-ref.ts'

/** Seven varints of 53 bits. */
export const packedHeadBytesMax = 7 * 8

/** Writes packed slices, one after another, into memory of its own: see packed-slice-reader.ts. */
export class SlicePacker {
  #bytes: Buffer = Buffer.allocUnsafeSlow(8192)
  #view = new DataView(this.#bytes.buffer)
  #at = 0

  /** The slice up to its times; `shared` is in tokens. */
  begin(
    partition: number,
    offset: number,
    start: number,
    length: number,
    spanCount: number,
    appendedAtMs: number,
    shared: Uint8Array,
  ): void {
    this.#at = 0
    this.#reserve(packedHeadBytesMax + shared.length + timesBytes + spanCount * packedSpanBytesMax)
    this.#varint(partition)
    this.#varint(offset)
    this.#varint(start)
    this.#varint(length)
    this.#varint(spanCount)
    this.#varint(appendedAtMs)
    this.#varint(shared.length)
    this.#copy(shared, 0, shared.length)
  }

  /** The times, and after them what is copied as it is packed: spans, and the slice's own text in the end. */
  add(bytes: Uint8Array, from: number, to: number): void {
    this.#reserve(to - from)
    this.#copy(bytes, from, to)
  }

  /** A span of those that `begin` was told of, packed; returns where it ends. */
  addPacked(bytes: Uint8Array, from: number): number {
    const to = endOfSpan(bytes, from)
    this.#copy(bytes, from, to)
    return to
  }

  /** A span of those that `begin` was told of, as a block. */
  addBlock(blocks: DataView, block: number): void {
    const from = this.#at
    for (let byte = 0; byte < 12; byte++)
      this.#bytes[from + 1 + byte] = blocks.getUint8(block + byte)
    this.#at += 13
    let flags = blocks.getUint32(block + blockAt.flags, true) & blockFlags
    flags |= this.#word(blocks.getUint32(block + blockAt.startOffsetMs, true), packedSpanFlag.start)
    flags |= this.#word(blocks.getUint32(block + blockAt.inputTokens, true), packedSpanFlag.input)
    flags |= this.#word(blocks.getUint32(block + blockAt.outputTokens, true), packedSpanFlag.output)
    const cost = blocks.getFloat64(block + blockAt.costUsd, true)
    if (cost !== 0) {
      flags |= packedSpanFlag.cost
      this.#view.setFloat64(this.#at, cost, true)
      this.#at += 8
    }
    this.#bytes[from] = flags
  }

  /** In base64. */
  finish(): string {
    return this.#bytes.toString('base64', 0, this.#at)
  }

  #word(value: number, flag: number): number {
    if (value === 0) return 0
    this.#varint(value)
    return flag
  }

  /** Of 53 bits: shifts would cut it to 32. */
  #varint(value: number): void {
    let rest = value
    while (rest > 127) {
      this.#bytes[this.#at++] = (rest % 128) + 128
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#at++] = rest
  }

  /** A call out of JavaScript costs more than as many bytes as a span has. */
  #copy(bytes: Uint8Array, from: number, to: number): void {
    const own = this.#bytes
    let at = this.#at
    for (let byte = from; byte < to; byte++) own[at++] = bytes[byte] as number
    this.#at = at
  }

  #reserve(more: number): void {
    if (this.#at + more <= this.#bytes.length) return
    const wider = Buffer.allocUnsafeSlow(2 * (this.#at + more))
    this.#bytes.copy(wider, 0, 0, this.#at)
    this.#bytes = wider
    this.#view = new DataView(wider.buffer)
  }
}

/**
 * A literal slice, packed: for tests, benches and tools. RangeError where it has other than `spanCount`
 * spans, or a number that is no count.
 */
export function packSlice({ ref, appendedAtMs, facts }: Slice): PackedSlice {
  const { startNs, endNs, spans, services, experiment, variant, columns, ...own } = facts
  const blocks = Buffer.from(spans, 'base64')
  const numbers = [...Object.values(ref), appendedAtMs] as number[]
  const isCounted = numbers.every(number => Number.isSafeInteger(number) && number >= 0)
  if (!isCounted || blocks.length !== ref.spanCount * spanBlockBytes) {
    throw new RangeError(`no slice can be packed of ${JSON.stringify(ref)}, ${spans}`)
  }
  const times = Buffer.alloc(timesBytes)
  times.writeBigUInt64BE(BigInt(startNs), 0)
  times.writeBigUInt64BE(BigInt(endNs), 8)
  const { partition, offset, start, length, spanCount } = ref as SpanRef
  const shared = Buffer.from(membersOf({ services, experiment, variant, columns }))
  packer.begin(partition, offset, start, length, spanCount, appendedAtMs, shared)
  packer.add(times, 0, times.length)
  const view = new DataView(blocks.buffer, blocks.byteOffset, blocks.length)
  for (let block = 0; block < blocks.length; block += spanBlockBytes) packer.addBlock(view, block)
  const { roots, errors, outcomes, ...rest } = own
  const lists = { roots, errors, outcomes }
  const text = Buffer.from(
    Object.entries(lists)
      .map(([name, list]) => list && factToken[name as keyof typeof lists] + listed(list))
      .join('') + membersOf(rest),
  )
  packer.add(text, 0, text.length)
  const [packed] = packedSlices(`"${packer.finish()}"`) ?? []
  if (packed === undefined) throw new RangeError('a slice was packed that is none')
  return packed
}

const packer = new SlicePacker()

/** Behind the token that opens it. */
function listed(list: readonly unknown[]): string {
  return JSON.stringify(list).slice(1)
}

function membersOf(facts: object): string {
  const json = JSON.stringify(facts)
  return json === '{}' ? '' : `,${json.slice(1, -1)}`
}
