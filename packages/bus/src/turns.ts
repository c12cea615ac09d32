/**
 * Takes messages of a port in turns. A MessagePort hands over everything that waits before libuv's
 * callbacks run: a burst of requests would keep the log from completing its own writes, and a burst
 * of replies would keep a worker from its files. So a few are handled, then everybody else is let in.
 */
export class Turns<Message> {
  readonly #handle: (message: Message) => void
  #waiting: Message[] = []
  #next = 0
  #isDue = false

  constructor(handle: (message: Message) => void) {
    this.#handle = handle
  }

  push(message: Message): void {
    this.#waiting.push(message)
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => this.#turn())
  }

  #turn(): void {
    const end = Math.min(this.#next + messagesPerTurn, this.#waiting.length)
    while (this.#next < end) this.#handle(this.#waiting[this.#next++] as Message)
    if (this.#next < this.#waiting.length) {
      setImmediate(() => this.#turn())
      return
    }
    this.#waiting = []
    this.#next = 0
    this.#isDue = false
  }
}

/** A turn copies at most so many batches: 16 of 128 KiB are about a millisecond. */
export const messagesPerTurn = 16
