import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Slice } from './evidence.ts'
import { expandFactText, factToken, spanIdToken } from './fact-tokens.ts'
import type { SliceFacts } from './facts.ts'
import { type PackedSlice, packedSlices, packedSlicesOf, unpackSlices } from './packed-slice.ts'
import { PackedSliceReader } from './packed-slice-reader.ts'
import { packSlice, SlicePacker } from './slice-packer.ts'
import { blockAt, blockFlag, spanBlockBytes } from './span-blocks.ts'

const golden = readFileSync(new URL('golden/packed-slice.v1.jsonl', import.meta.url), 'utf8')

interface Span {
  readonly id: bigint
  readonly opHash: number
  readonly startMs: number
  readonly input: number
  readonly output: number
  readonly cost: number
  readonly flags: number
}

function blocksOf(spans: readonly Span[]): string {
  const blocks = Buffer.alloc(spans.length * spanBlockBytes)
  for (const [at, { id, opHash, startMs, input, output, cost, flags }] of spans.entries()) {
    const block = blocks.subarray(at * spanBlockBytes)
    block.writeBigUInt64BE(id, blockAt.spanId)
    block.writeUInt32LE(opHash, blockAt.opHash)
    block.writeUInt32LE(startMs, blockAt.startOffsetMs)
    block.writeUInt32LE(input, blockAt.inputTokens)
    block.writeUInt32LE(output, blockAt.outputTokens)
    block.writeDoubleLE(cost, blockAt.costUsd)
    block.writeUInt32LE(flags, blockAt.flags)
  }
  return blocks.toString('base64')
}

const word = fc.oneof(
  fc.constantFrom(0, 127, 128, 2 ** 14, 2 ** 28, 2 ** 32 - 1),
  fc.nat(2 ** 32 - 1),
)
const count = fc.oneof(fc.constantFrom(0, 127, 128, Number.MAX_SAFE_INTEGER), fc.maxSafeNat())
const nanos = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String)
const anySpans = fc.array(
  fc.record({
    id: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    opHash: word,
    startMs: word,
    input: word,
    output: word,
    cost: fc.oneof(fc.constant(0), fc.double({ noNaN: true, min: 0 })),
    flags: fc.nat(7),
  }),
  { maxLength: 20 },
)
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 64 }),
  fc.constantFrom('"', '\\', '\n'),
)
const lists: fc.Arbitrary<Partial<SliceFacts>> = fc.record(
  {
    roots: fc.array(
      fc.record({
        spanId: fc.constant('0102030405060708'),
        service: text,
        name: text,
        startNs: nanos,
        durationMs: fc.double({ noNaN: true, noDefaultInfinity: true, min: 0 }),
      }),
      { maxLength: 3 },
    ),
    errors: fc.array(fc.record({ spanId: text, name: text }), { maxLength: 3 }),
    outcomes: fc.array(
      fc.record({ name: text.map(name => `n${name}`), spanId: text, passed: fc.boolean() }),
      { maxLength: 3 },
    ),
    services: fc.array(text, { maxLength: 3 }),
    experiment: text,
    variant: text,
    rv: text,
    truncated: fc.constant(true as const),
    ignored: fc.nat(),
  },
  { requiredKeys: [] },
)
const anySlice: fc.Arbitrary<Slice> = fc
  .record({
    place: fc.record({ partition: count, offset: count, start: count, length: count }),
    appendedAtMs: count,
    times: fc.record({ startNs: nanos, endNs: nanos }),
    spans: anySpans,
    lists,
  })
  .map(one => ({
    ref: { ...one.place, spanCount: one.spans.length },
    appendedAtMs: one.appendedAtMs,
    facts: { ...one.times, spans: blocksOf(one.spans), ...one.lists },
  }))
/** As JSON has it: -0 is no number of its own there. */
const plain = ({ ref, appendedAtMs, facts }: Slice): unknown =>
  JSON.parse(JSON.stringify({ ref, appendedAtMs, facts: { ...facts } }))
const between = (slices: readonly PackedSlice[]): string => JSON.stringify(slices).slice(1, -1)

const example: Slice = {
  ref: { partition: 7, offset: 1_000, start: 0, length: 895, spanCount: 2 },
  appendedAtMs: 1_763_712_000_000,
  facts: {
    startNs: '1716370863125000000',
    endNs: '1716370865249000000',
    spans: blocksOf([
      {
        id: 0x0600000000000000n,
        opHash: 0x0102_0304,
        startMs: 324,
        input: 1_870,
        output: 180,
        cost: 0.0083,
        flags: blockFlag.error,
      },
      {
        id: 0x0100000000000000n,
        opHash: 5,
        startMs: 0,
        input: 0,
        output: 0,
        cost: 0,
        flags: blockFlag.root,
      },
    ]),
    services: ['refund-bot'],
    outcomes: [{ name: 'judge', spanId: '0600000000000000', passed: false }],
  },
}

test('a slice is packed as its golden file has it, and read from it', () => {
  const packed = packSlice(example)
  expect(`["${packed.text}"]\n`).toBe(golden)
  const [read] = packedSlices(golden.trimEnd().slice(1, -1)) ?? []
  expect(read && plain(read)).toEqual(example)
})

test('whatever a slice says is read as it was packed, however many lie side by side', () => {
  fc.assert(
    fc.property(fc.array(anySlice, { maxLength: 5 }), slices => {
      const packed = slices.map(packSlice)
      const read = packedSlices(between(packed))
      expect(read?.map(plain)).toEqual(slices.map(plain))
      expect(read?.map(one => one.isWhole)).toEqual(slices.map(() => true))
      expect(read).toEqual(packed)
      expect(packedSlicesOf(packed.map(one => one.text))).toEqual(packed)
      const record = unpackSlices(JSON.parse(JSON.stringify({ slices: packed })))
      expect(record).toEqual({ slices: packed })
      const reader = new PackedSliceReader().begin(between(packed))
      for (const { ref, appendedAtMs } of slices) {
        expect(reader.next()).toBe(true)
        expect(reader).toMatchObject({ ...ref, appendedAtMs })
      }
      expect([reader.next(), reader.isBroken]).toEqual([false, false])
    }),
  )
})

test('bytes that are no slice are none, cut anywhere, with any byte changed or with any bytes at all', () => {
  /** Nothing throws, and what is read as a slice can be read to its end. */
  const survives = (bytes: Uint8Array): boolean => {
    const read = packedSlices(`"${Buffer.from(bytes).toString('base64')}"`)
    for (const slice of read ?? []) {
      const { facts, isWhole } = slice
      expect(Buffer.from(facts.spans, 'base64').length).toBe(slice.ref.spanCount * spanBlockBytes)
      expect(isWhole || Object.keys(slice.lists).length === 0).toBe(true)
      expect(slice.outcomes.length).toBe(slice.lists.outcomes?.length ?? 0)
    }
    return read !== undefined
  }
  fc.assert(
    fc.property(anySlice, fc.nat(), fc.nat(255), (slice, at, byte) => {
      const bytes = Buffer.from(packSlice(slice).text, 'base64')
      survives(bytes.subarray(0, at % bytes.length))
      const changed = Buffer.from(bytes)
      changed[at % bytes.length] = byte
      survives(changed)
    }),
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), any => void survives(any)))
  const whole = Buffer.from(packSlice({ ...example, facts: noLists }).text, 'base64')
  expect(survives(whole)).toBe(true)
  for (let end = 0; end < whole.length; end++) expect(survives(whole.subarray(0, end))).toBe(false)
})

const { services: _, outcomes: __, ...noLists } = example.facts

test('texts that are no base64, or not side by side, are no slices', () => {
  const { text: one } = packSlice(example)
  expect(packedSlices('')).toEqual([])
  expect(packedSlices(`"${one}","${one}"`)).toHaveLength(2)
  const broken = [
    one,
    `"${one}`,
    `${one}"`,
    `"${one}",`,
    `,"${one}"`,
    `"${one}" ,"${one}"`,
    `"${one}""${one}"`,
    `"${one.slice(1)}"`,
    `"${one.slice(4)}"`,
    `"!${one.slice(1)}"`,
    `"${one}AAA="`,
    '""',
    '"===="',
    '5',
    '{"ref":{}}',
  ]
  for (const json of broken) expect(packedSlices(json), json).toBeUndefined()
  for (const texts of [[5], [null], [one, {}]]) expect(packedSlicesOf(texts)).toBeUndefined()
})

test('a number is read up to its limit, and one past it is none', () => {
  const head = (...numbers: readonly (readonly number[])[]) =>
    packedSlices(
      `"${Buffer.concat([Buffer.from(numbers.flat()), Buffer.alloc(16)]).toString('base64')}"`,
    )
  const most = [255, 255, 255, 255, 255, 255, 255, 15]
  const [slice] = head([0], most, [0], [0], [0], [0], [0]) ?? []
  expect(slice?.ref.offset).toBe(Number.MAX_SAFE_INTEGER)
  const past = [128, 128, 128, 128, 128, 128, 128, 16]
  expect(head([0], past, [0], [0], [0], [0], [0])).toBeUndefined()
  const long = [128, 128, 128, 128, 128, 128, 128, 128, 0]
  expect(head([0], long, [0], [0], [0], [0], [0])).toBeUndefined()
  expect(head([0], [0], [0], [0], most, [0], [0]), 'so many spans').toBeUndefined()
  expect(head([0], [0], [0], [0], [0], [0], most), 'so much text').toBeUndefined()
  const span = (startMs: readonly number[]) =>
    packedSlices(
      `"${Buffer.from([0, 0, 0, 0, 1, 0, 0, ...Array(16).fill(0), 8, ...Array(12).fill(0), ...startMs]).toString('base64')}"`,
    )
  const [widest] = span([255, 255, 255, 255, 15]) ?? []
  expect(Buffer.from(widest?.facts.spans ?? '', 'base64').readUInt32LE(12)).toBe(2 ** 32 - 1)
  expect(span([128, 128, 128, 128, 16])).toBeUndefined()
  expect(span([128, 128, 128, 128, 128, 0])).toBeUndefined()
})

test('a text in tokens is the JSON that it stands for', () => {
  const source = { startNs: '17', idOf: (span: number) => (span === 300 ? 'ab' : undefined) }
  const json = `,"roots":[{"spanId":"ab","service":"s","name":"n","startNs":"17","durationMs":4}]`
  const { roots, openSpanId, service, name, startNs, sliceStart, durationMs } = factToken
  const root = `${openSpanId}${spanIdToken(300, 0, 0)}${service}"s"${name}"n"`
  const tokens = `${roots}${root}${startNs}${sliceStart}${durationMs}4}]`
  expect(expandFactText(tokens, source)).toBe(json)
  expect(expandFactText(`${openSpanId}${spanIdToken(2 ** 14, 0, 1)}`, undefined)).toBe(
    '{"spanId":"0000000000000001"',
  )
  for (const none of ['\x13', '\x13\x01', '\x13\x01\x01', '\x00', '\x1f', sliceStart]) {
    expect(expandFactText(none, undefined)).toBeUndefined()
  }
  expect(expandFactText(spanIdToken(301, 0, 0), source), 'no such span').toBeUndefined()
})

test('a text that names spans by number is read with their ids, in any order', () => {
  const ids = [9n, 2n ** 63n, 5n]
  const span = { opHash: 0, startMs: 300, input: 0, output: 9, cost: 0.5, flags: 0 }
  const facts = { startNs: '7', endNs: '8', spans: blocksOf(ids.map(id => ({ ...span, id }))) }
  const ref = { partition: 0, offset: 0, start: 0, length: 0, spanCount: 3 }
  const named = [2, 0, 1, 1].map(at => `{"spanId":${spanIdToken(at, 0, 0)},"name":"n"}`)
  const own = Buffer.from(`${factToken.errors}${named.join(',')}]`)
  const packer = new SlicePacker()
  const bytes = Buffer.from(packSlice({ ref, appendedAtMs: 0, facts }).text, 'base64')
  packer.begin(0, 0, 0, 0, 3, 0, new Uint8Array())
  packer.add(bytes, 7, bytes.length)
  packer.add(own, 0, own.length)
  const [slice] = packedSlices(`"${packer.finish()}"`) ?? []
  expect(slice?.lists.errors?.map(({ spanId }) => BigInt(`0x${spanId}`))).toEqual([
    5n,
    9n,
    2n ** 63n,
    2n ** 63n,
  ])
})

test('what many slices share is told apart where it differs by one character', () => {
  const of = (service: string) =>
    packSlice({ ...example, facts: { ...noLists, services: [service] } }).lists.services
  for (let n = 0; n < 2_000; n++) expect(of(`service-${n % 700}`)).toEqual([`service-${n % 700}`])
})

test('a literal slice with other spans than it counts, or numbers that are none, is not packed', () => {
  const { ref } = example
  expect(() => packSlice({ ...example, ref: { ...ref, spanCount: 3 } })).toThrow(RangeError)
  expect(() => packSlice({ ...example, ref: { ...ref, start: -1 } })).toThrow(RangeError)
  expect(() => packSlice({ ...example, appendedAtMs: 0.5 })).toThrow(RangeError)
})
