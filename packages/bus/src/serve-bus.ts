import type { MessagePort } from 'node:worker_threads'
import { assertNever } from '@winnow/model'
import { type HeldMemory, PipelineError } from '@winnow/runtime'
import type { Batch, Bus, Lease, Membership } from './bus.ts'
import { batchMemory } from './kafka-memory.ts'
import { packBatch, placeBatch, type SentBatch, transferOf } from './placed-records.ts'
import {
  fromPlainError,
  packReads,
  type Reply,
  type Request,
  toPlainError,
  unpackRanges,
  unpackRecords,
} from './remote-messages.ts'
import { isSharing } from './shared-bus.ts'
import { Turns } from './turns.ts'

/** One thread that a bus is served to. */
export interface ServedBus {
  /** Gives its leases back and closes the port; the bus itself stays open. */
  close(): Promise<void>
}

/** Serves `bus` to the thread that holds the other end of `port` in a `RemoteBus`, until it closes. */
export function serveBus(port: MessagePort, bus: Bus): ServedBus {
  const server = new BusServer(port, bus)
  server.sendTails()
  const turns = new Turns<Request>(request => server.receive(request))
  port.on('message', (request: Request) => turns.push(request))
  port.on('close', () => {
    // A thread that ended has no more use for its leases; whoever joins next gets them.
    server.end().catch(() => undefined)
  })
  return {
    close: async () => {
      await server.end()
      port.close()
    },
  }
}

interface ServedLease {
  readonly lease: Lease
  readonly folded: PromiseWithResolvers<void>
}

class BusServer {
  readonly #port: MessagePort
  readonly #bus: Bus
  readonly #memberships = new Map<number, Membership>()
  readonly #leases = new Map<number, ServedLease>()
  #lastLease = 0
  #isEnded = false

  constructor(port: MessagePort, bus: Bus) {
    this.#port = port
    this.#bus = bus
  }

  sendTails(): void {
    if (isSharing(this.#bus)) this.#send({ kind: 'tails', tails: this.#bus.tails })
  }

  receive(request: Request): void {
    if (this.#isEnded) return
    if (request.kind === 'join') this.#join(request)
    else if (request.kind === 'folded') {
      const { folded } = this.#leases.get(request.lease) ?? {}
      if (request.error === undefined) folded?.resolve()
      else folded?.reject(fromPlainError(request.error))
    } else void this.#answer(request)
  }

  async end(): Promise<void> {
    this.#isEnded = true
    for (const { folded } of this.#leases.values()) folded.resolve()
    const memberships = [...this.#memberships.values()]
    this.#memberships.clear()
    await Promise.all(memberships.map(membership => membership.close()))
  }

  async #answer(request: Exclude<Request, { kind: 'join' | 'folded' }>): Promise<void> {
    const { id } = request
    try {
      const { result, transfer } = await this.#run(request)
      this.#send({ kind: 'done', id, result }, transfer)
    } catch (error) {
      this.#send({ kind: 'refused', id, error: toPlainError(error) })
    }
  }

  async #run(
    request: Exclude<Request, { kind: 'join' | 'folded' }>,
  ): Promise<{ result: unknown; transfer?: ArrayBuffer[] }> {
    const bus = this.#bus
    switch (request.kind) {
      case 'partitionCount':
        return { result: await bus.partitionCount(request.topic) }
      case 'logId':
        return { result: await bus.logId(request.topic) }
      case 'append': {
        const records = unpackRecords(request.records)
        return { result: await bus.append(request.topic, request.partition, records) }
      }
      case 'fetch': {
        const { topic, partition, offset } = request
        return this.#batch({ records: [await bus.fetch(topic, partition, offset)] })
      }
      case 'fetchRanges': {
        const { topic, partition, ranges } = request
        const reads = await bus.fetchRanges(topic, partition, unpackRanges(ranges))
        const result = packReads(reads)
        return { result, transfer: [result.bytes] }
      }
      case 'read': {
        const { topic, partition, from, bytesMax, waitMs } = request
        if (this.#isPlaced) {
          return this.#batch(await bus.read(topic, partition, from, bytesMax, waitMs))
        }
        // Taken once there are records, for a read may wait long; of one that fails it is the collector's.
        const held: HeldMemory[] = []
        const take = (bytes: number): Buffer => {
          const memory = batchMemory.take(bytes)
          held.push(memory)
          return memory.bytes
        }
        const batch = await bus.read(topic, partition, from, bytesMax, waitMs, take)
        const result = packBatch(batch)
        for (const memory of held) memory.release()
        return { result, transfer: transferOf(result) }
      }
      case 'bounds':
        return { result: await bus.bounds(request.topic, request.partition) }
      case 'committed': {
        const { topic, group, partition } = request
        return { result: await bus.committed(topic, group, partition) }
      }
      case 'leave':
        await this.#memberships.get(request.join)?.close()
        this.#memberships.delete(request.join)
        return { result: undefined }
      case 'leaseRead': {
        const lease = this.#leases.get(request.lease)?.lease
        const batch = await lease?.read(request.bytesMax, request.waitMs)
        // A lease may use its memory again: what it read is copied.
        const result = packBatch(batch ?? { records: [] })
        return { result, transfer: transferOf(result) }
      }
      case 'leaseCommit': {
        const lease = this.#leases.get(request.lease)?.lease
        if (lease === undefined) throw new PipelineError('STALE_OWNER', 'the lease has ended')
        return { result: await lease.commit(request.position) }
      }
      default:
        return assertNever(request)
    }
  }

  get #isPlaced(): boolean {
    return isSharing(this.#bus) && this.#bus.placesRecords
  }

  #batch(batch: Batch): { result: SentBatch; transfer: ArrayBuffer[] } {
    const result = this.#isPlaced ? placeBatch(batch) : packBatch(batch)
    return { result, transfer: transferOf(result) }
  }

  #join({ join, topic, group }: Request & { kind: 'join' }): void {
    try {
      const membership = this.#bus.join(topic, group, lease => this.#fold(join, lease))
      this.#memberships.set(join, membership)
      membership.failed.catch((error: unknown) => {
        this.#send({ kind: 'failed', join, error: toPlainError(error) })
      })
    } catch (error) {
      this.#send({ kind: 'failed', join, error: toPlainError(error) })
    }
  }

  /** Runs for as long as the fold of the other thread does. */
  async #fold(join: number, lease: Lease): Promise<void> {
    const id = ++this.#lastLease
    const folded = Promise.withResolvers<void>()
    const { partition, committed, lost } = lease
    this.#leases.set(id, { lease, folded })
    let isFolded = false
    // The lease outlives a fold that returns early: its holder may still read and commit.
    const forget = (): void => {
      if (isFolded && lost.aborted) this.#leases.delete(id)
    }
    lost.addEventListener('abort', () => {
      this.#send({ kind: 'lost', lease: id })
      forget()
    })
    this.#send({ kind: 'lease', join, lease: id, partition, committed })
    if (this.#isEnded) folded.resolve()
    await folded.promise.finally(() => {
      isFolded = true
      forget()
    })
  }

  #send(reply: Reply, transfer: ArrayBuffer[] = []): void {
    if (!this.#isEnded) this.#port.postMessage(reply, transfer)
  }
}
