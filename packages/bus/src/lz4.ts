// Hot on a source of lz4: every batch of it passes here.
import { PipelineError } from '@winnow/runtime'
import { LzOutput, tooShort } from './lz-copy.ts'

const magic = 0x184d2204
const flag = { blockChecksum: 0x10, contentSize: 0x08, contentChecksum: 0x04, dictionary: 0x01 }
const minMatch = 4

/** LZ4 frames as Kafka's producers write them. Checksums are the broker's business: the batch has its own. */
export function unlz4(bytes: Buffer, bytesMax: number): Buffer {
  const output = new LzOutput(3 * bytes.length, bytesMax)
  for (let at = 0; at < bytes.length; ) at = decodeFrame(bytes, at, output)
  return output.whole()
}

/** magic 4 │ flags 1 │ block size 1 │ content size 8? │ checksum 1 │ blocks │ 0 │ checksum 4? */
function decodeFrame(bytes: Buffer, start: number, output: LzOutput): number {
  if (start + 7 > bytes.length) throw tooShort()
  const flags = bytes[start + 4] as number
  if (bytes.readUInt32LE(start) !== magic || (flags & flag.dictionary) !== 0) {
    throw new PipelineError('DATA_CORRUPT', 'no lz4 frame')
  }
  let at = start + 7 + ((flags & flag.contentSize) === 0 ? 0 : 8)
  for (;;) {
    if (at + 4 > bytes.length) throw tooShort()
    const head = bytes.readUInt32LE(at)
    at += 4
    if (head === 0) break
    const length = head & 0x7fff_ffff
    if (at + length > bytes.length) throw tooShort()
    const isPlain = head >>> 31 === 1
    if (isPlain) output.literal(bytes, at, length)
    else decodeBlock(bytes.subarray(at, at + length), output)
    at += length + ((flags & flag.blockChecksum) === 0 ? 0 : 4)
  }
  return at + ((flags & flag.contentChecksum) === 0 ? 0 : 4)
}

/** Sequences: a token with both lengths │ literals │ distance 2; the last one has literals alone. */
function decodeBlock(block: Buffer, output: LzOutput): void {
  let at = 0
  const longer = (length: number): number => {
    let sum = length
    if (length !== 15) return sum
    for (let more = 255; more === 255; sum += more) {
      if (at >= block.length) throw tooShort()
      more = block[at++] as number
    }
    return sum
  }
  while (at < block.length) {
    const token = block[at++] as number
    const literals = longer(token >>> 4)
    output.literal(block, at, literals)
    at += literals
    if (at >= block.length) return
    if (at + 2 > block.length) throw tooShort()
    const distance = block.readUInt16LE(at)
    at += 2
    output.match(distance, longer(token & 15) + minMatch)
  }
}
