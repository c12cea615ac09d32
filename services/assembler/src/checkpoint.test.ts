import { readFileSync } from 'node:fs'
import { encodeTenantRuns, unpackSlices } from '@winnow/model'
import { encodeTraces } from '@winnow/otlp'
import { trace48fId, trace48fRequests } from '@winnow/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  decodeCheckpoint,
  encodeCheckpoint,
  pendingInCheckpoint,
  type ReadCheckpoint,
} from './checkpoint.ts'
import { closeTimesMax, lineNames } from './close-times.ts'
import { assemblerConfigSchema } from './config.ts'
import { packedSlice } from './packed-slice.fixture.ts'
import { type FoldState, PartitionFold } from './partition-fold.ts'
import { type RecordSlice, sliceReader } from './read-slices.ts'
import { summaryJson } from './summary-json.ts'

const owner = { logId: '018f4d2e-5b6a-4c3d-9e8f-0a1b2c3d4e5f', group: 'assembler', partition: 7 }
const last = { offset: 3, appendedAtMs: 1_000_003, crc: 0xdead_beef }
const noTurn = async (): Promise<void> => {}

async function bytesOf(state: FoldState): Promise<Uint8Array> {
  return (await encodeCheckpoint(owner, last, state, noTurn)) as Uint8Array
}

async function copyOf(fold: PartitionFold): Promise<PartitionFold> {
  const read = decodeCheckpoint(await bytesOf(fold.state), owner) as ReadCheckpoint
  expect(read.last).toEqual(last)
  return new PartitionFold(smallRules, read.state)
}

/** What the state is, in an order that does not depend on how it came about. */
async function sorted(fold: PartitionFold): Promise<Buffer> {
  const { position, time, pool } = fold.state
  const open = [...fold.state.open].sort((a, b) => compare(a.key, b.key))
  return Buffer.from(await bytesOf({ position, time, open, closed: [], pool }))
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Two requests of trace 48f closed, two open. */
function fold48f(): PartitionFold {
  const fold = new PartitionFold(assemblerConfigSchema.parse({ maxRefs: 2 }), 0)
  const read = sliceReader()
  trace48fRequests().forEach((request, offset) => {
    const value = encodeTraces(request)
    const header = encodeTenantRuns([{ tenant: 'default', start: 0, length: value.length }])
    if (offset < 3) fold.apply(offset, 1_000_000 + offset, read(value, header))
  })
  return fold
}

/** Short waits and small limits, so that a short log meets every one of them. */
const smallRules = {
  quiet: 5_000,
  rootless: 60_000,
  openMax: 120_000,
  maxSpans: 9,
  maxBytes: 900,
  maxRefs: 6,
  maxOpen: 40,
}

/** A record of a log: the wait since the one before, and its slices. */
interface LogRecord {
  readonly offset: number
  readonly appendedAtMs: number
  readonly slices: readonly RecordSlice[]
}

/** Few traces and few ids, so that slices of one trace, repeats, roots and missing parents meet. */
const sliceOf = fc.record({
  tenant: fc.constantFrom('acme', 'größe'),
  trace: fc.integer({ min: 0, max: 3 }),
  length: fc.integer({ min: 1, max: 300 }),
  spans: fc.array(
    fc.record({
      id: fc.integer({ min: 1, max: 12 }),
      parent: fc.integer({ min: 0, max: 12 }),
      isEntry: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  ),
})

const waitMs = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 2_000 }) },
  { weight: 3, arbitrary: fc.integer({ min: 2_000, max: 70_000 }) },
  // A clock that jumps ahead, is a little behind, or is set right again.
  { weight: 1, arbitrary: fc.constantFrom(3_600_000, -500, -3_600_000) },
)

/** A log of up to `max` records; a second owner that reads it gets the same slices. */
function logs(max: number): fc.Arbitrary<LogRecord[]> {
  const record = fc.record({ waitMs, slices: fc.array(sliceOf, { maxLength: 4 }) })
  return fc.array(record, { minLength: 1, maxLength: max }).map(records => {
    let appendedAtMs = 1_000_000_000
    return records.map((one, offset) => {
      appendedAtMs += one.waitMs
      let start = 0
      const slices = one.slices.map(({ tenant, trace, length, spans }) => {
        const place = { tenant, traceId: `${trace}`.repeat(32), start, length }
        const ids = spans.map(({ id, parent, isEntry }) => [id, parent, isEntry] as const)
        const slice = packedSlice(ids, place, `,"services":["${'é'.repeat(trace)}"]`)
        start += length
        return slice
      })
      return { offset, appendedAtMs, slices }
    })
  })
}

function applyAll(fold: PartitionFold, records: readonly LogRecord[]): void {
  for (const { offset, appendedAtMs, slices } of records) fold.apply(offset, appendedAtMs, slices)
}

/** Acknowledges all that is closed, and returns the summaries. */
function takeSummaries(fold: PartitionFold): string[] {
  const texts = fold.closed.map(closed => summaryJson(0, fold, closed))
  fold.acknowledge(texts.length)
  return texts
}

test('a fold resumed at any record emits what the one that read on emits, and ends in its state', async () => {
  const property = fc.asyncProperty(
    logs(40),
    fc.nat(),
    fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
    fc.integer({ min: 0, max: 300_000 }),
    async (records, cutAt, acknowledges, wallAfterMs) => {
      const cut = cutAt % (records.length + 1)
      const first = new PartitionFold(smallRules, 0)
      for (const [at, record] of records.slice(0, cut).entries()) {
        applyAll(first, [record])
        if (acknowledges[at]) takeSummaries(first)
      }
      const second = await copyOf(first)
      expect(second.committable).toBe(first.committable)
      const ends = [first, second].map(fold => {
        const summaries: string[] = []
        for (const record of records.slice(cut)) {
          applyAll(fold, [record])
          if (acknowledges[record.offset]) summaries.push(...takeSummaries(fold))
        }
        fold.closeAtWall((records.at(-1)?.appendedAtMs ?? 0) + wallAfterMs, 2000)
        return [...summaries, ...takeSummaries(fold)].sort(compare)
      })
      expect(ends[1]).toEqual(ends[0])
      expect(second.committable).toBe(first.committable)
      expect(second.openCount).toBe(first.openCount)
      expect((await sorted(second)).equals(await sorted(first))).toBe(true)
    },
  )
  await fc.assert(property, { numRuns: 400 })
})

/** An owner of the partition, at present or once. */
interface Owner {
  readonly fold: PartitionFold
  next: number
}

test('whoever resumes from whoever’s checkpoint, every slice comes into a summary', async () => {
  const step = fc.record({
    who: fc.nat(),
    what: fc.constantFrom('read', 'read', 'read', 'write', 'commit', 'checkpoint', 'wall', 'move'),
    ms: fc.integer({ min: 0, max: 200_000 }),
  })
  const property = fc.asyncProperty(
    logs(30),
    fc.array(step, { minLength: 20, maxLength: 150 }),
    async (records, steps) => {
      const written = new Set<string>()
      const owners: Owner[] = [ownerAt(new PartitionFold(smallRules, 0))]
      let committed = 0
      let checkpoint: Uint8Array | undefined
      const write = (fold: PartitionFold): void => {
        for (const text of takeSummaries(fold)) for (const ref of refsOf(text)) written.add(ref)
      }
      for (const { who, what, ms } of steps) {
        const one = owners[who % owners.length] as Owner
        const current = owners.at(-1) as Owner
        if (what === 'read') {
          applyAll(one.fold, records.slice(one.next, one.next + 1))
          one.next = one.fold.position
        } else if (what === 'write') write(one.fold)
        else if (what === 'wall') one.fold.closeAtWall(stampOf(records, one.next) + ms, 2000)
        else if (what === 'checkpoint') checkpoint = await bytesOf(one.fold.state)
        else if (what === 'commit') committed = Math.max(committed, current.fold.committable)
        else if (owners.length < 5) {
          // The one before goes on as a zombie: it appends and writes checkpoints, and commits nothing.
          const kept = checkpoint && (decodeCheckpoint(checkpoint, owner) as ReadCheckpoint)
          const isUsable = kept !== undefined && kept.state.position >= committed
          owners.push(ownerAt(new PartitionFold(smallRules, isUsable ? kept.state : committed)))
        }
      }
      const rest = owners.at(-1) as Owner
      applyAll(rest.fold, records.slice(rest.next))
      rest.fold.closeAtWall(stampOf(records, records.length) + 1_000_000, 0)
      write(rest.fold)
      expect(rest.fold.openCount).toBe(0)
      expect([...written].sort()).toEqual(records.flatMap(slicesOf).sort())
    },
  )
  await fc.assert(property, { numRuns: 400 })
})

function ownerAt(fold: PartitionFold): Owner {
  return { fold, next: fold.position }
}

function stampOf(records: readonly LogRecord[], next: number): number {
  return records[next - 1]?.appendedAtMs ?? 0
}

function slicesOf({ offset, slices }: LogRecord): string[] {
  return slices.map(one => `${one.tenant} ${one.traceId} ${offset} ${one.start}`)
}

function refsOf(summary: string): string[] {
  const { tenant, traceId, slices } = unpackSlices(JSON.parse(summary))
  return slices.map(
    ({ ref }: { ref: { offset: number; start: number } }) =>
      `${tenant} ${traceId} ${ref.offset} ${ref.start}`,
  )
}

test('a checkpoint of trace 48f, half of it closed, is its golden file', async () => {
  const url = new URL('golden/checkpoint.v1.bin', import.meta.url)
  const bytes = await bytesOf(fold48f().state)
  expect(Buffer.from(bytes).equals(readFileSync(url))).toBe(true)
  const read = decodeCheckpoint(bytes, owner) as ReadCheckpoint
  expect(read.state).toMatchObject({ position: 3, time: { effectiveMs: 2, stampMs: 1_000_002 } })
  const [closed] = read.state.closed
  expect(closed).toMatchObject({ reason: 'refs', closedAtMs: 1_000_001 })
  expect([...read.state.open].map(trace => trace.sliceCount)).toEqual([1])
})

test('one trace is found in a checkpoint as it is in the fold, and no other tenant’s', async () => {
  const fold = fold48f()
  const bytes = await bytesOf(fold.state)
  const known = fold.find('default', trace48fId)
  // Two slices are closed as a part: of the third nothing came twice.
  expect(known).toMatchObject({ slices: 1, firstAppendedAtMs: 1_000_002 })
  expect(pendingInCheckpoint(bytes, owner, 'default', trace48fId)).toEqual(known)
  expect(pendingInCheckpoint(bytes, owner, 'other', trace48fId)).toBeUndefined()
  expect(pendingInCheckpoint(bytes, owner, 'default', trace48fId.replace('4', '5'))).toBeUndefined()
  const ofOther = { ...owner, logId: 'another' }
  expect(pendingInCheckpoint(bytes, ofOther, 'default', trace48fId)).toBeUndefined()
  const closedOnly = { ...fold.state, open: [] }
  const part = pendingInCheckpoint(await bytesOf(closedOnly), owner, 'default', trace48fId)
  expect(part).toMatchObject({ slices: 2, firstAppendedAtMs: 1_000_000 })
  for (const cut of [0, 11, 40, bytes.length - 1]) {
    expect(pendingInCheckpoint(bytes.slice(0, cut), owner, 'default', trace48fId)).toBeUndefined()
  }
})

test('a checkpoint with any byte wrong, or any missing, is left aside', async () => {
  const bytes = await bytesOf(fold48f().state)
  for (let at = 0; at < bytes.length; at += at < 400 ? 1 : 97) {
    const wrong = bytes.slice()
    wrong[at] = (wrong[at] as number) ^ 0x10
    expect(decodeCheckpoint(wrong, owner), `byte ${at}`).toMatch(/^(corrupt|newer)$/)
    expect(decodeCheckpoint(bytes.slice(0, at), owner), `cut at ${at}`).toBe('corrupt')
  }
  const longer = new Uint8Array(bytes.length + 1)
  longer.set(bytes)
  expect(decodeCheckpoint(longer, owner)).toBe('corrupt')
})

test('one of another log, group or partition is foreign, one of a later format is newer', async () => {
  const bytes = await bytesOf(fold48f().state)
  expect(decodeCheckpoint(bytes, { ...owner, logId: 'another' })).toBe('foreign')
  expect(decodeCheckpoint(bytes, { ...owner, group: 'another' })).toBe('foreign')
  expect(decodeCheckpoint(bytes, { ...owner, partition: 8 })).toBe('foreign')
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, 2, true)
  expect(decodeCheckpoint(bytes, owner)).toBe('newer')
})

test('a line of closeTimes is found by what it names in a list that has changed, or is none', async () => {
  const linesAfter = async (before: readonly string[], after: readonly string[]) => {
    const { state } = fold48f()
    const [trace] = [...state.open]
    if (trace === undefined) throw new Error('nothing is open')
    const found: number[] = []
    for (let line = 0; line <= closeTimesMax; line++) {
      trace.closeTimes = line
      const own = { ...owner, closeTimes: before }
      const bytes = (await encodeCheckpoint(
        own,
        last,
        { ...state, open: [trace] },
        noTurn,
      )) as Uint8Array
      const read = decodeCheckpoint(bytes, { ...owner, closeTimes: after }) as ReadCheckpoint
      found.push(...[...read.state.open].map(({ closeTimes }) => closeTimes))
    }
    return found
  }
  const names = Array.from({ length: closeTimesMax }, (_, at) => `line ${at + 1}`)
  const numbers = names.map((_, at) => at + 1)
  expect(await linesAfter(names, names)).toEqual([0, ...numbers])
  expect(await linesAfter(names, names.toReversed())).toEqual([0, ...numbers.toReversed()])
  expect(await linesAfter(names, ['another', 'line 3'])).toEqual([
    0,
    0,
    0,
    2,
    ...numbers.slice(3).fill(0),
  ])
  expect(
    (await linesAfter([], names)).every(line => line === 0),
    'one that says no names',
  ).toBe(true)
})

test('a line is named by what it is found by, and not by its waits', () => {
  const [a, b, c] = lineNames([
    { service: 's', root: 'r', quiet: 1 },
    { service: 's', root: 'r', quiet: 2, openMax: 9 },
    { root: 'r', quiet: 1 },
  ])
  expect(a).toBe(b)
  expect(c).not.toBe(a)
})

test('a table over the limit has no checkpoint, one at it has', async () => {
  const bytes = await bytesOf(fold48f().state)
  const atMost = (limit: number) => encodeCheckpoint(owner, last, fold48f().state, noTurn, limit)
  expect((await atMost(bytes.length))?.length).toBe(bytes.length)
  expect(await atMost(bytes.length - 1)).toBeUndefined()
})
