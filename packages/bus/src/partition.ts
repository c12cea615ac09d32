/**
 * The partition of a trace: murmur2 over the 16 raw bytes of its id, as Kafka's default partitioner
 * computes it for a key, so that any Kafka producer keyed by trace id places it alike.
 */
export function partitionOf(
  bytes: Uint8Array,
  start: number,
  length: number,
  count: number,
): number {
  return (murmur2(bytes, start, length) & 0x7fffffff) % count
}

/** The partition of a trace given by its 32 hex digits. */
export function partitionOfHex(traceId: string, count: number): number {
  const bytes = new Uint8Array(16)
  for (let at = 0; at < 16; at++) bytes[at] = Number.parseInt(traceId.slice(2 * at, 2 * at + 2), 16)
  return partitionOf(bytes, 0, 16, count)
}

/** MurmurHash2, 32 bit, seed 0x9747b28c, little endian: `org.apache.kafka.common.utils.Utils.murmur2`. */
function murmur2(bytes: Uint8Array, start: number, length: number): number {
  const m = 0x5bd1e995
  let hash = 0x9747b28c ^ length
  const whole = length & ~3
  for (let at = 0; at < whole; at += 4) {
    const i = start + at
    let k =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24)
    k = Math.imul(k, m)
    k ^= k >>> 24
    hash = Math.imul(hash, m) ^ Math.imul(k, m)
  }
  const rest = length - whole
  if (rest >= 3) hash ^= (bytes[start + whole + 2] as number) << 16
  if (rest >= 2) hash ^= (bytes[start + whole + 1] as number) << 8
  if (rest >= 1) hash = Math.imul(hash ^ (bytes[start + whole] as number), m)
  hash = Math.imul(hash ^ (hash >>> 13), m)
  return (hash ^ (hash >>> 15)) >>> 0
}
