/** Grows by doubling, so that writing n bytes copies O(n); `capacity` is a start, not a limit. */
export class ByteSink {
  /** Replaced when it grows: take it after writing, not before. What lies beyond `length` is old. */
  bytes: Buffer
  length = 0

  constructor(capacity: number = 1 << 20) {
    this.bytes = Buffer.allocUnsafeSlow(capacity)
  }

  /** Room for so many bytes more behind `length`. */
  reserve(extra: number): void {
    const needed = this.length + extra
    if (needed <= this.bytes.length) return
    const longer = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2))
    this.bytes.copy(longer, 0, 0, this.length)
    this.bytes = longer
  }
}
