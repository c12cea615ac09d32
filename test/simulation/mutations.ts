import type { Change } from './tree-copy.ts'

/** Code with one rule of the protocol undone, which the simulation has to notice. */
export interface Mutation {
  readonly rule: string
  readonly changes: readonly Change[]
}

const one = (rule: string, file: string, from: string, to: string): Mutation => ({
  rule,
  changes: [{ file, from, to }],
})

const loop = 'services/sampler/src/partition-loop.ts'
const state = 'services/sampler/src/partition-state.ts'
const revise = 'services/sampler/src/revise.ts'
const put = 'services/writer/src/put-segment.ts'
const assembler = 'services/assembler/src/partition-loop.ts'
const fold = 'services/assembler/src/partition-fold.ts'

export const mutations: readonly Mutation[] = [
  one(
    'evidence is done once its decisions were read back, not once they were acknowledged',
    loop,
    'reader.next = this.#position.offset\n',
    '\n',
  ),
  {
    rule: 'a claim that is not ours ends what we do',
    changes: [
      {
        file: loop,
        from: "if (this.#claim >= 0 && offset > this.#claim && record?.kind === 'claim') return false",
        to: '',
      },
      {
        file: loop,
        from: 'if (this.#unread.size === 0) return true\n    const where',
        to: 'this.#unread.clear()\n    if (this.#seq >= 0) return true\n    const where',
      },
    ],
  },
  one(
    'a decision counts in its sequence alone, so that repeats do not',
    'packages/model/src/counting.ts',
    'claim !== state.claim || seq !== state.next',
    'claim !== state.claim || seq > state.next',
  ),
  one(
    'the index is a fold of what counts, and of nothing else',
    state,
    "if (!counts || record.kind !== 'decision') return false",
    "if (record.kind !== 'decision') return false",
  ),
  one(
    'committed is the smallest offset that an open trace still needs',
    fold,
    'Math.min(this.position, this.#open.oldest?.firstOffset ?? this.position)',
    'this.position',
  ),
  one(
    'a closed trace is forgotten when its summary is acknowledged, not before',
    assembler,
    'await this.#ask(async () => {\n        await this.#beAwake()',
    'fold.acknowledge(records.length)\n      await this.#commit()\n      await this.#ask(async () => {\n        await this.#beAwake()',
  ),
  one(
    'a revision of a kept trace writes its new slices alone',
    revise,
    'return indices.filter(index => fresh.has(slices[index] as PackedSlice))',
    'return indices',
  ),
  one(
    'a trace that becomes kept is written whole, with the slices of its chain',
    revise,
    'if (isTurned && placed.prev !== null) decision.writePrev = true',
    '',
  ),
  one(
    'the ledger is put first: it fixes the end of the range',
    put,
    'const ledger = await put(target, ours, asRead',
    `const first = { tier: 'warm', count: spans.count, groups: () => spans.warm() } as const
  await put(target, ours, asRead, first)
  const ledger = await put(target, ours, asRead`,
  ),
  one(
    'who has read less than a ledger that is there reads on to its end',
    put,
    'if (ledger.b > ours.b)',
    'if (ledger.b < 0)',
  ),
  one(
    'who finds a ledger takes its end for the other tiers',
    put,
    'const range = ledger.b === ours.b ? ours : open.range(ledger.b)',
    'const range = ours',
  ),
  one(
    'a hot document of a lower offset never replaces one of a higher',
    'packages/storage/src/memory-hot-store.ts',
    'if (last === undefined || isNewer(version, last)) {\n        held',
    'if (last !== version) {\n        held',
  ),
  one(
    'keep is irrevocable: a fragment inherits it',
    'services/sampler/src/verdict.ts',
    "if (earlier?.verdict === 'keep' && !keeps) {",
    "if (earlier?.verdict === 'keep' && earlier.probability > 2 && !keeps) {",
  ),
  one(
    'facts are a function of the set of slices: a span that came twice counts once',
    'services/sampler/src/span-table.ts',
    'for (let before = 0; before < at; before++) {\n        if (this.#is(before, high, low)) {',
    'for (let before = at - 1; before < at; before++) {\n        if (this.#is(before, high, low)) {',
  ),
  one(
    'the writer goes on with the counting state of its commit',
    'services/writer/src/segment-start.ts',
    'state: stateOf(committed.note)',
    'state: countingStart',
  ),
  one(
    'the hot group goes on with the counting state of its commit',
    'services/writer/src/hot-group.ts',
    'let state = stateOf(lease.committed?.note)',
    'let state = stateOf(undefined)',
  ),
  one(
    'a snapshot says what counts behind it',
    state,
    'this.#counting = head.counting',
    'this.#counting = countingStart',
  ),
  {
    rule: 'what was folded beyond the own claim is not taken up: it may hide a later claim',
    changes: [
      { file: loop, from: '{ first, end: claim }', to: '{ first, end: Infinity }' },
      { file: loop, from: ' && state.nextOffset <= claim,', to: ',' },
      // Alone it is caught here: the own claim was never read.
      { file: loop, from: 'counting.claim !== claim)', to: 'counting.claim === -9)' },
    ],
  },
  one('a checkpoint holds every open trace', fold, 'open: this.#open.values(),', 'open: [],'),
  one(
    'a trace is tenant and trace id',
    'services/sampler/src/batch-decider.ts',
    'const key = traceId + tenant',
    'const key = traceId',
  ),
]

/** What is no rule: with it everything must still hold. */
export const harmless: readonly Mutation[] = [
  {
    rule: 'records of decisions and series are small: many chains, many series',
    changes: [
      {
        file: 'packages/model/src/decision.ts',
        from: 'export const refsMax = 256',
        to: 'export const refsMax = 4',
      },
      {
        file: 'packages/model/src/decision.ts',
        from: 'export const seriesRefsMax = 20_000',
        to: 'export const seriesRefsMax = 10',
      },
    ],
  },
]
