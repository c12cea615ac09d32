import { type Clock, PipelineError } from '@winnow/runtime'
import type { KafkaClients } from './kafka-client.ts'
import { fromKafka } from './kafka-errors.ts'
import { KafkaLink } from './kafka-link.ts'
import type { KafkaLimits } from './kafka-options.ts'
import { type FetchedPartition, fetchRequest, type PartitionFetch } from './kafka-requests.ts'

/** What a long poll found for one reader. `outside`: the offset lies before or after what is held. */
export type Polled = { readonly records: Buffer } | 'none' | 'outside'

interface Waiting {
  readonly partition: number
  readonly from: number
  readonly bytesMax: number
  /** Answered with `none` from here on. */
  readonly untilMs: number
  readonly resolve: (polled: Polled) => void
  readonly reject: (error: PipelineError) => void
  /** Nobody waits any more once it has aborted. */
  readonly signal: AbortSignal | undefined
}

/** Kafka's code for an offset that a partition does not hold. */
export const offsetOutOfRange = 1
const lanesMax = 2
const pauseMs = 100

/**
 * The long polls of all readers of a topic. A broker answers the requests of one connection in turn,
 * so a poll that waits for one partition holds every later one up. Therefore two lanes, each with
 * its own connections, and every poll carries all readers that are waiting at that moment:
 *
 *   waiting: p0 p3 p7 ──▶ lane 0 ──▶ leader 1: fetch p0 p3     (p7 has another leader: next round)
 *   p5 comes          ──▶ lane 1 ──▶ leader 1: fetch p5
 *   p6 comes          ──▶ waits until a lane is back, at most `pollMs`
 */
export class KafkaPoller {
  readonly #lanes: { readonly link: KafkaLink; busy: boolean }[] = []
  readonly #limits: KafkaLimits
  readonly #clock: Clock
  readonly #topic: string
  readonly #clients: KafkaClients
  #waiting = new Set<Waiting>()
  #closed = false

  constructor(clients: KafkaClients, topic: string, limits: KafkaLimits, clock: Clock) {
    this.#clients = clients
    this.#topic = topic
    this.#limits = limits
    this.#clock = clock
  }

  /** Rejects with BUS_UNAVAILABLE when `waitMs` and `answerWaitMs` passed without any answer. */
  poll(
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<Polled> {
    return new Promise((resolve, reject) => {
      const untilMs = this.#clock.nowMs() + waitMs
      this.#waiting.add({ partition, from, bytesMax, untilMs, resolve, reject, signal })
      this.#pump()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const one of this.#waiting) one.resolve('none')
    this.#waiting.clear()
    await Promise.all(this.#lanes.map(lane => lane.link.close()))
  }

  #pump(): void {
    if (this.#waiting.size === 0 || this.#closed) return
    let lane = this.#lanes.find(one => !one.busy)
    if (lane === undefined && this.#lanes.length < lanesMax) {
      lane = { link: new KafkaLink(this.#clients, this.#topic), busy: false }
      this.#lanes.push(lane)
    }
    if (lane === undefined) return
    const free = lane
    free.busy = true
    this.#round(free.link)
      .finally(() => {
        free.busy = false
        this.#pump()
      })
      .catch(() => {})
  }

  /** One poll on one lane, for everybody waiting whose partition is led by the first one's leader. */
  async #round(link: KafkaLink): Promise<void> {
    // Readers of the same tick travel together.
    await new Promise(resolve => setImmediate(resolve))
    const candidates = this.#waiting
    this.#waiting = new Set()
    const taken: Waiting[] = []
    try {
      let leader: number | undefined
      for (const one of candidates) {
        const node = await link.leaderOf(one.partition)
        leader ??= node
        // A request names a partition once: readers of one partition travel together from one offset.
        const other = taken.find(({ partition }) => partition === one.partition)
        const fits = node === leader && (other === undefined || other.from === one.from)
        if (fits) taken.push(one)
        else this.#waiting.add(one)
        candidates.delete(one)
      }
      if (leader === undefined) return
      const now = this.#clock.nowMs()
      const leftMs = Math.min(...taken.map(one => one.untilMs)) - now
      const waitMs = Math.max(0, Math.min(leftMs, this.#limits.pollMs))
      const asked = new Map<number, PartitionFetch>()
      for (const { partition, from, bytesMax } of taken) {
        const before = asked.get(partition)?.bytesMax ?? 0
        asked.set(partition, { partition, from, bytesMax: Math.max(before, bytesMax) })
      }
      const request = fetchRequest(
        this.#topic,
        [...asked.values()],
        waitMs,
        this.#limits.pollBytesMax,
      )
      const answers = await link.fetch(leader, request)
      await this.#answer(link, taken, answers)
    } catch (error) {
      await this.#again([...taken, ...candidates], fromKafka(error, `reading ${this.#topic}`))
    }
  }

  async #answer(
    link: KafkaLink,
    taken: readonly Waiting[],
    answers: readonly FetchedPartition[],
  ): Promise<void> {
    const refused: Waiting[] = []
    const starved: Waiting[] = []
    let refusal = 0
    for (const one of taken) {
      const answer = answers.find(other => other.partition === one.partition)
      if (answer?.errorCode === offsetOutOfRange) one.resolve('outside')
      else if (answer === undefined || answer.errorCode !== 0) {
        refusal = answer?.errorCode ?? 0
        refused.push(one)
      } else if (answer.records.length > 0) one.resolve({ records: answer.records })
      // Others filled the answer. Saying `none` here would be taken for the end of the log.
      else if (one.from < answer.end && !this.#isOver(one)) starved.push(one)
      else if (this.#isOver(one) || this.#clock.nowMs() >= one.untilMs) one.resolve('none')
      else this.#waiting.add(one)
    }
    if (starved.length > 0) this.#waiting = new Set([...starved, ...this.#waiting])
    if (refused.length === 0) return
    // The leader moved, or does not know the topic (yet, or any more).
    link.drop()
    const what = `reading ${this.#topic}: the broker refuses with code ${refusal}`
    await this.#again(refused, new PipelineError('BUS_UNAVAILABLE', what))
  }

  #isOver(one: Waiting): boolean {
    return this.#closed || one.signal?.aborted === true
  }

  /** Holds the lane for a moment, so that a broker that is down is not asked in a tight loop. */
  async #again(readers: readonly Waiting[], error: PipelineError): Promise<void> {
    await new Promise(resolve => setTimeout(resolve, pauseMs))
    for (const one of readers) {
      const lateMs = this.#clock.nowMs() - one.untilMs
      if (this.#isOver(one)) one.resolve('none')
      else if (!error.retryable || lateMs > this.#limits.answerWaitMs) one.reject(error)
      else this.#waiting.add(one)
    }
  }
}
