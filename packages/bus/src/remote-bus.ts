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
  ReadMemory,
  RecordHead,
  ValueRange,
} from './bus.ts'
import { receiveBatch, type SentBatch } from './placed-records.ts'
import { freshMemory, reusedMemory } from './read-memory.ts'
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
import { RemoteTail } from './remote-tail.ts'
import { Turns } from './turns.ts'
import { checkRanges, filled } from './value-ranges.ts'

interface RemoteMember {
  readonly topic: string
  readonly fold: (lease: Lease) => Promise<void>
  readonly fail: (error: Error) => void
  readonly folds: Set<Promise<void>>
}

/** A request before it gets its number. */
type Call<Kind = Request> = Kind extends { id: number } ? Omit<Kind, 'id'> : never

/**
 * The bus of another thread, over a port whose other end `serveBus` holds. What lies in the memory of a
 * log's tail is read without a message, and so is its end waited for. For the rest errors keep their
 * code; bytes are transferred; a thread holds at most the batches that it asked for. When the port
 * closes, everything that waits rejects with BUS_UNAVAILABLE and memberships fail.
 */
export class RemoteBus implements Bus {
  readonly #port: MessagePort
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #members = new Map<number, RemoteMember>()
  readonly #leases = new Map<number, AbortController>()
  readonly #tails = new Map<string, RemoteTail>()
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
    const near = await this.#logOf(topic, partition)?.fetch(partition, offset)
    if (near !== undefined) return near
    const sent = await this.#call({ kind: 'fetch', topic, partition, offset })
    return receiveBatch(sent as SentBatch).records[0] as BusRecord
  }

  async fetchRanges(
    topic: string,
    partition: number,
    ranges: readonly ValueRange[],
  ): Promise<readonly RangeRead[]> {
    checkRanges(topic, ranges)
    const near = await this.#tailOf(topic, partition)?.ranges(partition, ranges)
    if (near === undefined) return this.#fetchFar(topic, partition, ranges)
    const { reads, missing } = near
    if (missing.length === 0) return reads
    const rest = missing.map(at => ranges[at] as ValueRange)
    return filled(reads, missing, await this.#fetchFar(topic, partition, rest))
  }

  read(
    topic: string,
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
    memory = freshMemory,
  ): Promise<Batch> {
    return this.#read(topic, partition, from, bytesMax, waitMs, memory)
  }

  heads(topic: string, partition: number, from: number): readonly RecordHead[] {
    return this.#tailOf(topic, partition)?.heads(partition, from) ?? []
  }

  async bounds(topic: string, partition: number): Promise<{ first: number; end: number }> {
    const near = this.#logOf(topic, partition)?.bounds(partition)
    if (near !== undefined) return near
    const far = await this.#call({ kind: 'bounds', topic, partition })
    return far as { first: number; end: number }
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

  /** Undefined where nothing is shared: such as before the tails have come, and after the port closed. */
  #tailOf(topic: string, partition: number): RemoteTail | undefined {
    const tail = this.#tails.get(topic)
    return tail?.has(partition) === true ? tail : undefined
  }

  /** A tail that may be believed about what is not in it, too. */
  #logOf(topic: string, partition: number): RemoteTail | undefined {
    const tail = this.#tailOf(topic, partition)
    return tail?.isLog === true ? tail : undefined
  }

  async #read(
    topic: string,
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
    take: ReadMemory,
    lost?: AbortSignal,
  ): Promise<Batch> {
    const tail = this.#logOf(topic, partition)
    const near = await tail?.read(partition, from, bytesMax, waitMs, take, lost)
    if (near !== undefined && !this.#isClosed) return near
    const call = { kind: 'read', topic, partition, from, bytesMax } as const
    // Who shares the tail has waited already.
    const sent = await this.#call({ ...call, waitMs: tail === undefined ? waitMs : 0 })
    return receiveBatch(sent as SentBatch)
  }

  async #fetchFar(
    topic: string,
    partition: number,
    ranges: readonly ValueRange[],
  ): Promise<readonly RangeRead[]> {
    const call = { kind: 'fetchRanges', topic, partition, ranges: packRanges(ranges) } as const
    return unpackReads((await this.#call(call)) as SentRanges)
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
        for (const tail of reply.tails) this.#tails.set(tail.topic, new RemoteTail(tail))
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
    const isShared = this.#tails.get(topic)?.isLog === true
    const memory = reusedMemory()
    // Where the tail is shared the position is kept here, else by the lease over there.
    let next = committed?.offset
    // Asked now: what retention takes from now on is a gap. A refusal is asked again by the first read.
    const began =
      isShared && next === undefined
        ? this.bounds(topic, partition).catch(() => undefined)
        : undefined
    return {
      partition,
      committed,
      lost,
      read: async (bytesMax, waitMs) => {
        if (lost.aborted) return { records: [] }
        let batch: Batch
        if (isShared) {
          next ??= ((await began) ?? (await this.bounds(topic, partition))).first
          batch = await this.#read(topic, partition, next, bytesMax, waitMs, memory, lost)
        } else {
          const sent = await this.#call({ kind: 'leaseRead', lease, bytesMax, waitMs })
          batch = receiveBatch(sent as SentBatch)
        }
        if (lost.aborted) return { records: [] }
        const last = batch.records.at(-1)
        next = last === undefined ? (batch.gap?.to ?? next) : last.offset + 1
        return batch
      },
      commit: async position => {
        await this.#call({ kind: 'leaseCommit', lease, position: { ...position } })
      },
    }
  }

  #send(request: Request): void {
    if (!this.#isClosed) this.#port.postMessage(request)
  }

  #end(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const tail of this.#tails.values()) tail.close()
    this.#tails.clear()
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
