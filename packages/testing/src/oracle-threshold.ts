/**
 * The oracle's own arithmetic of consistent sampling (OpenTelemetry trace/tracestate-handling):
 * written from the specification's text, not from what samplers here use.
 */
const space = 2n ** 56n

/** T for a probability in [0, 1]: 2^56 less the share of it that is kept, to the nearest integer. */
export function rejectionThreshold(probability: number): bigint {
  // A double is an integer times a power of two; so the product with 2^56 is exact in integers.
  const bits = new DataView(new ArrayBuffer(8))
  bits.setFloat64(0, probability)
  const raw = bits.getBigUint64(0)
  const exponent = (raw >> 52n) & 0x7ffn
  const fraction = raw & (2n ** 52n - 1n)
  const mantissa = exponent === 0n ? fraction : fraction | (2n ** 52n)
  const shift = (exponent === 0n ? 1n : exponent) - 1075n + 56n
  const kept = shift >= 0n ? mantissa << shift : (mantissa + (1n << (-shift - 1n))) >> -shift
  return space - kept
}

/** As `th` writes it: 14 hex digits without trailing zeros, one digit at least. */
export function thresholdDigits(threshold: bigint): string {
  let digits = (threshold + space).toString(16).slice(-14)
  while (digits.length > 1 && digits.endsWith('0')) digits = digits.slice(0, -1)
  return digits
}

export interface OtMember {
  /** Randomness that the trace state states. */
  readonly randomness: bigint | null
  /** Threshold that a sampler before us applied. */
  readonly threshold: bigint | null
}

/** Reads the `ot` member of a W3C trace state; what is malformed in it is as if it were not there. */
export function readTraceState(traceState: string): OtMember {
  let randomness: bigint | null = null
  let threshold: bigint | null = null
  for (const member of traceState.split(',')) {
    const text = member.trim()
    if (!text.startsWith('ot=')) continue
    for (const pair of text.slice(3).split(';')) {
      const [key, value] = [pair.slice(0, 3), pair.slice(3)]
      if (!isLowerHex(value)) continue
      if (key === 'rv:' && value.length === 14) randomness ??= BigInt(`0x${value}`)
      if (key === 'th:' && value.length <= 14) {
        threshold ??= BigInt(`0x${value}`) << BigInt(4 * (14 - value.length))
      }
    }
  }
  return { randomness, threshold }
}

/** R without an explicit one: the last seven bytes of the trace id. */
export function traceIdRandomness(traceId: string): bigint {
  return BigInt(`0x${traceId}`) % space
}

function isLowerHex(text: string): boolean {
  return text.length > 0 && [...text].every(digit => '0123456789abcdef'.includes(digit))
}
