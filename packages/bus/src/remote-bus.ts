import type { MessagePort } from 'node:worker_threads'
import { PipelineError } from '@winnow/runtime'
import type {
  Batch,
  Bus,
  BusRecord,
  Lease,
  Membership,
  NewRecord,
  Position,
  RangeRead,
  ValueRange,
} from './bus.ts'
import { freshMemory, reusedMemory, type TakeMemory } from './log-reader.ts'
import {
  type Overwritten,
  type ReceivedTail,
  receiveRecords,
  receiveTails,
  type SentBatch,
} from './placed-records.ts'
import {
  fromPlainError,
  packRanges,
  packRecords,
  type Reply,
  type Request,
  type SentRanges,
  toPlainError,
  unpackReads,
} from './remote-messages.ts'
import { Turns } from './turns.ts'
import { checkRanges } from './value-ranges.ts'

interface RemoteMember {
  readonly topic: string
  readonly fold: (lease: Lease) => Promise<void>
  readonly fail: (error: Error) => void
  readonly folds: Set<Promise<void>>
}

/** A request before it gets its number. */
type Call<Kind = Request> = Kind extends { id: number } ? Omit<Kind, 'id'> : never

/**
 * The bus of another thread, over a port whose other end `serveBus` holds. Errors keep their code;
 * bytes are transferred; a thread holds at most the batches that it asked for. When the port closes,
 * everything that waits rejects with BUS_UNAVAILABLE and memberships fail.
 */
export class RemoteBus implements Bus {
  readonly #port: MessagePort
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #members = new Map<number, RemoteMember>()
  readonly #leases = new Map<number, AbortController>()
  #tails: readonly ReceivedTail[] = []
  #lastId = 0
  #isClosed = false

  constructor(port: MessagePort) {
    this.#port = port
    const turns = new Turns<Reply>(reply => this.#take(reply))
    port.on('message', (reply: Reply) => turns.push(reply))
    port.on('close', () => this.#end())
  }

  async partitionCount(topic: string): Promise<number> {
    return (await this.#call({ kind: 'partitionCount', topic })) as number
  }

  async logId(topic: string): Promise<string> {
    return (await this.#call({ kind: 'logId', topic })) as string
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    const packed = packRecords(records)
    const call = { kind: 'append', topic, partition, records: packed } as const
    return (await this.#call(call, [packed.bytes])) as number
  }

  async fetch(topic: string, partition: number, offset: number): Promise<BusRecord> {
    const call = { kind: 'fetch', topic, partition, offset } as const
    for (let isCopied = false; ; isCopied = true) {
      const sent = (await this.#call({ ...call, isCopied })) as SentBatch
      const records = receiveRecords(sent.records, this.#tails, partition, freshMemory)
      if ('length' in records) return records[0] as BusRecord
    }
  }

  async fetchRanges(
    topic: string,
    partition: number,
    ranges: readonly ValueRange[],
  ): Promise<readonly RangeRead[]> {
    checkRanges(topic, ranges)
    const call = { kind: 'fetchRanges', topic, partition, ranges: packRanges(ranges) } as const
    return unpackReads((await this.#call(call)) as SentRanges)
  }

  async read(
    topic: string,
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
  ): Promise<Batch> {
    const call = { kind: 'read', topic, partition, from, bytesMax, waitMs } as const
    for (let isCopied = false; ; isCopied = true) {
      const sent = (await this.#call({ ...call, isCopied })) as SentBatch
      const batch = this.#receive(sent, partition, freshMemory)
      if ('records' in batch) return batch
    }
  }

  async bounds(topic: string, partition: number): Promise<{ first: number; end: number }> {
    return (await this.#call({ kind: 'bounds', topic, partition })) as {
      first: number
      end: number
    }
  }

  async committed(topic: string, group: string, partition: number): Promise<Position | undefined> {
    const position = await this.#call({ kind: 'committed', topic, group, partition })
    return position as Position | undefined
  }

  join(topic: string, group: string, fold: (lease: Lease) => Promise<void>): Membership {
    const join = ++this.#lastId
    const failed = Promise.withResolvers<never>()
    const member: RemoteMember = { topic, fold, fail: failed.reject, folds: new Set() }
    this.#members.set(join, member)
    if (this.#isClosed) failed.reject(closedError())
    else this.#port.postMessage({ kind: 'join', join, topic, group } satisfies Request)
    return {
      failed: failed.promise,
      close: async () => {
        if (this.#members.has(join) && !this.#isClosed) await this.#call({ kind: 'leave', join })
        this.#members.delete(join)
        await Promise.all(member.folds)
      },
    }
  }

  /** Closes the port, not the bus behind it. */
  async close(): Promise<void> {
    this.#end()
    this.#port.close()
  }

  #call(call: Call, transfer: ArrayBuffer[] = []): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(closedError())
    const id = ++this.#lastId
    const answer = Promise.withResolvers<unknown>()
    this.#calls.set(id, answer)
    this.#port.postMessage({ ...call, id }, transfer)
    return answer.promise
  }

  #receive(sent: SentBatch, partition: number, take: TakeMemory): Batch | Overwritten {
    const records = receiveRecords(sent.records, this.#tails, partition, take)
    if (!('length' in records)) return records
    return sent.gap === undefined ? { records } : { records, gap: sent.gap }
  }

  #take(reply: Reply): void {
    switch (reply.kind) {
      case 'done':
        this.#calls.get(reply.id)?.resolve(reply.result)
        this.#calls.delete(reply.id)
        return
      case 'refused':
        this.#calls.get(reply.id)?.reject(fromPlainError(reply.error))
        this.#calls.delete(reply.id)
        return
      case 'tails':
        this.#tails = receiveTails(reply.tails)
        return
      case 'lease':
        this.#fold(reply)
        return
      case 'lost':
        this.#leases.get(reply.lease)?.abort()
        this.#leases.delete(reply.lease)
        return
      case 'failed':
        this.#members.get(reply.join)?.fail(fromPlainError(reply.error))
    }
  }

  #fold(reply: Reply & { kind: 'lease' }): void {
    const member = this.#members.get(reply.join)
    if (member === undefined) return
    const lost = new AbortController()
    this.#leases.set(reply.lease, lost)
    const done = member
      .fold(this.#lease(member.topic, reply, lost.signal))
      .then(
        () => this.#send({ kind: 'folded', lease: reply.lease }),
        (error: unknown) => {
          const isFarewell = error instanceof PipelineError && error.code === 'STALE_OWNER'
          // The error itself rather than its copy from the other side, for it has a stack and a cause.
          if (!(isFarewell && lost.signal.aborted)) member.fail(asError(error))
          this.#send({ kind: 'folded', lease: reply.lease, error: toPlainError(error) })
        },
      )
      .finally(() => member.folds.delete(done))
    member.folds.add(done)
  }

  #lease(
    topic: string,
    { lease, partition, committed }: Reply & { kind: 'lease' },
    lost: AbortSignal,
  ): Lease {
    const memory = reusedMemory()
    // The lease there is past them already: they come before anything else, whatever fails meanwhile.
    let owed: Overwritten | undefined
    return {
      partition,
      committed,
      lost,
      read: async (bytesMax, waitMs) => {
        if (lost.aborted) return { records: [] }
        if (owed === undefined) {
          const sent = await this.#call({ kind: 'leaseRead', lease, bytesMax, waitMs })
          if (lost.aborted) return { records: [] }
          const batch = this.#receive(sent as SentBatch, partition, memory)
          if ('records' in batch) return batch
          owed = batch
        }
        const { batch, rest } = await this.#readOwed(topic, partition, owed, bytesMax)
        owed = rest
        return lost.aborted ? { records: [] } : batch
      },
      commit: async position => {
        await this.#call({ kind: 'leaseCommit', lease, position: { ...position } })
      },
    }
  }

  async #readOwed(
    topic: string,
    partition: number,
    { from, to }: Overwritten,
    bytesMax: number,
  ): Promise<{ readonly batch: Batch; readonly rest: Overwritten | undefined }> {
    const call = { kind: 'read', topic, partition, from, bytesMax, waitMs: 0 } as const
    const sent = (await this.#call({ ...call, isCopied: true })) as SentBatch
    const { records, gap } = this.#receive(sent, partition, freshMemory) as Batch
    const owed = records.filter(({ offset }) => offset < to)
    const end = (records.at(-1)?.offset ?? (gap?.to ?? to) - 1) + 1
    const rest = end < to ? { from: end, to } : undefined
    if (gap === undefined) return { batch: { records: owed }, rest }
    // What lies behind `to` the lease will tell by itself.
    return { batch: { records: owed, gap: { from, to: Math.min(gap.to, to) } }, rest }
  }

  #send(request: Request): void {
    if (!this.#isClosed) this.#port.postMessage(request)
  }

  #end(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const answer of this.#calls.values()) answer.reject(closedError())
    this.#calls.clear()
    for (const lost of this.#leases.values()) lost.abort()
    for (const member of this.#members.values()) member.fail(closedError())
  }
}

function closedError(): PipelineError {
  return new PipelineError('BUS_UNAVAILABLE', 'the port to the bus is closed')
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
