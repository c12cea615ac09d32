/** Whether the same call may succeed later, for every code there is. A new code needs a line here. */
const retryableByCode = {
  /** The bus, or the group that leases a partition, does not answer right now. */
  BUS_UNAVAILABLE: true,
  /** A configuration, policy or argument is wrong. The message names the key, the value and the remedy. */
  CONFIG_INVALID: false,
  /** A stored thing contradicts what derived its name: another log's object, a bad checksum. */
  DATA_CORRUPT: false,
  /** The record is not written yet. */
  OFFSET_AHEAD: false,
  /** The record was held once and is no longer: retention has passed it. */
  OFFSET_GONE: false,
  /** Bytes that are not what their content type says. */
  PAYLOAD_INVALID: false,
  /** Larger than a named limit allows. Sending it again cannot help. */
  PAYLOAD_TOO_LARGE: false,
  /** A limit on work in flight is reached. */
  QUOTA_EXCEEDED: true,
  /** The partition has another owner now. */
  STALE_OWNER: false,
  /** A store does not answer right now, or is out of space. */
  STORE_UNAVAILABLE: true,
} as const

export type PipelineErrorCode = keyof typeof retryableByCode

/** The one error class. Callers branch on `code` and `retryable`, never on the message. */
export class PipelineError extends Error {
  override readonly name = 'PipelineError'
  readonly code: PipelineErrorCode

  constructor(code: PipelineErrorCode, message: string, options?: ErrorOptions) {
    super(`[${code}] ${message}`, options)
    this.code = code
  }

  get retryable(): boolean {
    return retryableByCode[this.code]
  }
}

/** An error we did not make is a bug until proven otherwise: not retryable. */
export function isRetryable(error: unknown): boolean {
  return error instanceof PipelineError && error.retryable
}
