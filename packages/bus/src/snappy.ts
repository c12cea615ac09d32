// Hot on a source of snappy: every batch of it passes here.
import { LzOutput, tooShort } from './lz-copy.ts'

/** How Java's clients frame it: this, two versions, then blocks with a length each. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const xerialHeadBytes = 16

/** Snappy as Kafka's producers write it: one block, or Java's frames of them. DATA_CORRUPT for anything else. */
export function unsnappy(bytes: Buffer, bytesMax: number): Buffer {
  if (!bytes.subarray(0, xerialMagic.length).equals(xerialMagic)) {
    const output = new LzOutput(3 * bytes.length, bytesMax)
    decodeBlock(bytes, output)
    return output.whole()
  }
  const output = new LzOutput(3 * bytes.length, bytesMax)
  for (let at = xerialHeadBytes; at < bytes.length; ) {
    if (at + 4 > bytes.length) throw tooShort()
    const end = at + 4 + bytes.readUInt32BE(at)
    if (end > bytes.length) throw tooShort()
    decodeBlock(bytes.subarray(at + 4, end), output)
    at = end
  }
  return output.whole()
}

/**
 * length as a varint │ elements: the two low bits of the first byte say literal, or a copy with a
 * distance of one, two or four bytes. A match reaches back into its own block only, of which the
 * output has no other bound than its start: hostile bytes may repeat an earlier block, and no more.
 */
function decodeBlock(block: Buffer, output: LzOutput): void {
  let at = 0
  while (at < block.length && (block[at] as number) >= 0x80) at++
  at++
  while (at < block.length) {
    const tag = block[at++] as number
    switch (tag & 3) {
      case 0: {
        let length = tag >>> 2
        if (length >= 60) {
          const width = length - 59
          if (at + width > block.length) throw tooShort()
          length = block.readUIntLE(at, width)
          at += width
        }
        output.literal(block, at, length + 1)
        at += length + 1
        break
      }
      case 1:
        if (at >= block.length) throw tooShort()
        output.match(((tag & 0xe0) << 3) | (block[at++] as number), ((tag >>> 2) & 7) + 4)
        break
      case 2:
        if (at + 2 > block.length) throw tooShort()
        output.match(block.readUInt16LE(at), (tag >>> 2) + 1)
        at += 2
        break
      default:
        if (at + 4 > block.length) throw tooShort()
        output.match(block.readUInt32LE(at), (tag >>> 2) + 1)
        at += 4
    }
  }
}
