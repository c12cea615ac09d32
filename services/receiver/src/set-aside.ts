import type { BusRecord, Gap } from '@winnow/bus'
import type { Log, Metrics } from '@winnow/runtime'

/** Why a message of a source is passed over. `defect`: of this program, which fell over it twice. */
export type SetAsideReason = 'invalid' | 'too_large' | 'tenant' | 'damaged' | 'defect'

/** Lines a minute that name an offset each; of more the last line says that there are more. */
export const linesMax = 100
const minuteMs = 60_000

/**
 * What became of messages that are not taken. They stay where they are, in their topic, for as long as
 * it keeps them: the log has topic, partition, offset and reason of each, the metric counts them all.
 */
export class SetAside {
  readonly #log: Log
  readonly #metrics: Metrics
  #lines = 0
  #minuteFromMs = 0

  constructor(log: Log, metrics: Metrics) {
    this.#log = log
    this.#metrics = metrics
  }

  message(
    at: { readonly topic: string; readonly partition: number; readonly record: BusRecord },
    reason: SetAsideReason,
    message: string,
    error?: unknown,
  ): void {
    const { topic, partition, record } = at
    this.#metrics.sourceSetAside.inc({ topic, reason })
    this.#metrics.sourceMessages.inc({ topic, result: 'set_aside' })
    if (reason === 'defect') this.#log.error('receiver.source_defect', error, { topic, partition })
    this.#line({ topic, partition, offset: record.offset, reason, message })
  }

  /** Retention has passed messages before they were read, or a batch of them is broken. */
  gap(topic: string, partition: number, { from, to, cause }: Gap): void {
    const count = to - from
    if (cause === undefined) {
      this.#metrics.sourceMessages.inc({ topic, result: 'lost' }, count)
      this.#log.warn('receiver.source_lost', { topic, partition, from, to })
      return
    }
    this.#metrics.sourceSetAside.inc({ topic, reason: 'damaged' }, count)
    this.#metrics.sourceMessages.inc({ topic, result: 'set_aside' }, count)
    this.#line({ topic, partition, offset: from, to, reason: 'damaged', message: cause })
  }

  #line(fields: Readonly<Record<string, string | number>>): void {
    const nowMs = performance.now()
    if (this.#lines === 0 || nowMs - this.#minuteFromMs > minuteMs) {
      this.#lines = 0
      this.#minuteFromMs = nowMs
    }
    this.#lines++
    if (this.#lines <= linesMax) this.#log.info('receiver.source_set_aside', fields)
    else this.#log.warn('receiver.source_more_set_aside', fields)
  }
}
