// Hot on Kafka: every byte that is appended passes here, compressed. Eight tables, eight bytes a step.

/** The reversed polynomial of Castagnoli. */
const polynomial = 0x82f63b78
const width = 8
const tables = makeTables()

/**
 * CRC-32C, which Kafka checks its record batches by (RFC 3720, B.4). `before` is the checksum of
 * the bytes that come before these, so that pieces need not be joined.
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  const table = tables
  const wholeEnd = bytes.length - (bytes.length % width)
  let crc = ~before
  let at = 0
  for (; at < wholeEnd; at += width) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    crc =
      (table[0x700 | (crc & 0xff)] as number) ^
      (table[0x600 | ((crc >>> 8) & 0xff)] as number) ^
      (table[0x500 | ((crc >>> 16) & 0xff)] as number) ^
      (table[0x400 | (crc >>> 24)] as number) ^
      (table[0x300 | (bytes[at + 4] as number)] as number) ^
      (table[0x200 | (bytes[at + 5] as number)] as number) ^
      (table[0x100 | (bytes[at + 6] as number)] as number) ^
      (table[bytes[at + 7] as number] as number)
  }
  for (; at < bytes.length; at++) {
    crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 0xff] as number)
  }
  return ~crc >>> 0
}

/** Table t holds the checksum of a byte that t zero bytes follow. */
function makeTables(): Int32Array {
  const made = new Int32Array(width * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ polynomial
    made[byte] = crc
  }
  for (let at = 256; at < made.length; at++) {
    const before = made[at - 256] as number
    made[at] = (before >>> 8) ^ (made[before & 0xff] as number)
  }
  return made
}
