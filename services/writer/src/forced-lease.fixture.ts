import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus, Lease, Position } from '@winnow/bus'
import { Gate, PipelineError } from '@winnow/runtime'
import type { BlobStore } from '@winnow/storage'
import { Abreast } from './abreast.ts'
import { ChainReader } from './chain.ts'
import { flushesMax, parsedBytesMax, type WriterConfig } from './config.ts'
import { RecordParser } from './decisions-reader.ts'
import { Gathered } from './gathered.ts'
import { HotPuts } from './hot-puts.ts'
import { IdIndexer } from './id-index.ts'
import { KeptReader } from './kept-reader.ts'
import { runSegmentGroup } from './segment-group.ts'
import { SliceReader } from './slice-reader.ts'
import { decisionsTopic, type Fixture, spansTopic } from './writer.fixture.ts'
import type { WriterOptions } from './writer.ts'

/** Where a group stands, shared by leases that do not know of each other. */
export interface Positions {
  committed: Position | undefined
}

/**
 * A lease of partition 0 that no group gave: whoever is handed it believes to be the owner. At the end
 * of the log time passes, so that what is gathered comes of age.
 */
export class ForcedLease implements Lease {
  readonly partition = 0
  readonly committed: Position | undefined
  readonly #fixture: Fixture
  readonly #bus: Bus
  readonly #positions: Positions
  readonly #lost = new AbortController()
  readonly #recordsMax: () => number
  #next: number | undefined
  /** Another owner is there: commits are refused, reads go on. */
  isStale = false

  constructor(fixture: Fixture, positions: Positions, recordsMax: () => number = () => 1_000) {
    this.#fixture = fixture
    this.#bus = fixture.bus
    this.#positions = positions
    this.#recordsMax = recordsMax
    this.committed = positions.committed
    this.#next = positions.committed?.offset
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  lose(): void {
    this.isStale = true
    this.#lost.abort()
  }

  async read(): ReturnType<Lease['read']> {
    // As a lease on Kafka does: other work goes on between two reads.
    await sleep(0)
    if (this.lost.aborted) return { records: [] }
    const from = this.#next ?? (await this.#bus.bounds(decisionsTopic, 0)).first
    const { records, gap } = await this.#bus.read(decisionsTopic, 0, from, 1 << 24, 0)
    const taken = records.slice(0, this.#recordsMax())
    if (taken.length === 0) this.#fixture.clock.advanceMs(1_000)
    this.#next = (taken.at(-1)?.offset ?? (gap?.to ?? from) - 1) + 1
    return gap === undefined ? { records: taken } : { records: taken, gap }
  }

  async commit(position: Position): Promise<void> {
    if (this.isStale) throw new PipelineError('STALE_OWNER', 'another owner')
    this.#positions.committed = position
  }
}

/** What the groups of one writer share, as the writer makes it; they end by their leases. */
export function sharedBy(options: WriterOptions) {
  const { bus, hot, clock, config, log } = options
  const abreast = new Abreast(clock)
  const slices = new SliceReader(bus, spansTopic)
  const never = new AbortController().signal
  return {
    ...options,
    decisions: decisionsTopic,
    abreast,
    kept: new KeptReader(slices, abreast.shelf(config.keptCache), log),
    hotPuts: new HotPuts(hot, clock, config.hotBatchBytes),
    chains: new ChainReader(bus, decisionsTopic, log),
    parser: new RecordParser(abreast.shelf(parsedBytesMax)),
    gathered: new Gathered(config.gatheredBytes),
    flushes: new Gate(flushesMax),
    ids: new IdIndexer({ ...options, ended: never }),
    stopping: never,
  }
}

/** The segments of one partition as a process of its own: it shares stores and bus with others, no memory. */
export function segmentsProcess(
  fixture: Fixture,
  lease: Lease,
  config: Partial<WriterConfig>,
  changes: { readonly blobs?: BlobStore; readonly gathered?: Gathered } = {},
): Promise<void> {
  return runSegmentGroup(lease, { ...sharedBy(fixture.options(config)), ...changes })
}
