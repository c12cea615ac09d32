/** What the exit status of every command means. */
export const exitCode = {
  done: 0,
  /** The answer is no: not found, not balanced, a policy with mistakes. */
  no: 1,
  /** The command line or a configuration is wrong. */
  usage: 2,
  /** The server does not answer. */
  unreachable: 3,
} as const

/** Ends a command with a line on standard error. Thrown, so that nothing below main exits. */
export class CommandEnd extends Error {
  override readonly name = 'CommandEnd'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}
