/**
 * OpenTelemetry's consistent probability sampling (conventions c.11, specification
 * trace/tracestate-handling): keep when R >= T. 2^56 exceeds a JavaScript number, hence BigInt.
 */
const RANGE = 1n << 56n
const DIGITS = 14

/** T for a keep probability, 0 <= T <= 2^56. Probability 1 gives 0, probability 0 gives 2^56. */
export function thresholdOf(probability: number): bigint {
  if (probability >= 1) return 0n
  if (!(probability > 0)) return RANGE
  // Scaling a double by a power of two is exact; computing 1 - p first would not be, and gives
  // e6666666666668 for 10 %.
  return RANGE - BigInt(Math.round(probability * 2 ** 56))
}

/** 1-14 lower-case hex digits, trailing zeros removed, `0` for 100 %. */
export function thresholdText(threshold: bigint): string {
  const hex = threshold.toString(16).padStart(DIGITS, '0')
  return hex.replace(/0+$/, '') || '0'
}

/** Reads `th`; undefined for anything but 1-14 lower-case hex digits. */
export function parseThreshold(text: string): bigint | undefined {
  return /^[0-9a-f]{1,14}$/.test(text) ? BigInt(`0x${text.padEnd(DIGITS, '0')}`) : undefined
}

/** R: `rv` where it is valid (exactly 14 hex digits), else the last 7 bytes of the trace id. */
export function randomnessOf(traceId: string, rv?: string): bigint {
  return BigInt(`0x${randomnessHex(traceId, rv)}`)
}

/** The same as 14 hex digits, which compare as it does. */
export function randomnessHex(traceId: string, rv?: string): string {
  return rv !== undefined && /^[0-9a-f]{14}$/.test(rv) ? rv : traceId.slice(-DIGITS)
}

/** (2^56 - T) / 2^56. */
export function probabilityOf(threshold: bigint): number {
  return Number(RANGE - threshold) / Number(RANGE)
}
