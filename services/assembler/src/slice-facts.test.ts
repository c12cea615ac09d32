import {
  blockAt,
  blockFlag,
  factListMax,
  factTextBytesMax,
  fnv1a,
  type PackedSlice,
  type SliceFacts,
  spanBlockBytes,
} from '@winnow/model'
import {
  type AnyValue,
  emptySpan,
  encodeTraces,
  genAiNames,
  genAiView,
  type KeyValue,
  type Span,
  SpanTable,
  scanTraces,
  type TracesData,
} from '@winnow/otlp'
import { agentTraffic, trace48f } from '@winnow/testing'
import { describe, expect, test } from 'vitest'
import { plainInterest } from './fact-interest.ts'
import { costDetailsBytesMax } from './fact-numbers.ts'
import { summarised } from './packed-slice.fixture.ts'
import { SliceFactsExtractor } from './slice-facts.ts'

test('golden: trace 48f, whose judge passed', () => {
  const { spans, ...facts } = factsOf(trace48f())
  expect(facts).toEqual({
    startNs: '1716370863120000000',
    endNs: '1716370865739000000',
    roots: [
      {
        spanId: '0100000000000000',
        service: 'refund-bot',
        name: 'refund_chat.turn',
        startNs: '1716370863120000000',
        durationMs: 2608,
      },
    ],
    outcomes: [
      { name: 'outcome.policy_correct', spanId: '0100000000000000', passed: false },
      { name: 'csat', spanId: '0100000000000000', score: 2 },
      { name: 'citation', spanId: '0700000000000000', extracted: 2, supported: 1, unsupported: 1 },
      { name: 'judge', spanId: '0800000000000000', score: 1, label: 'policy_correct' },
    ],
    services: ['refund-bot'],
    experiment: 'exp_prompt_terser_v3',
    variant: 'B',
  })
  const hash = (parent: string, name: string) => {
    const bytes = Buffer.concat([Buffer.from(parent, 'hex'), Buffer.from(name)])
    return fnv1a(bytes, 0, bytes.length)
  }
  const root = '0100000000000000'
  const row = (id: number, parent: string, name: string, ms: number, more: object = {}) => ({
    spanId: `0${id}00000000000000`,
    opHash: hash(parent, name),
    startOffsetMs: ms,
    inputTokens: 0,
    outputTokens: 0,
    costUsd: 0,
    flags: 0,
    ...more,
  })
  const tokens = (inputTokens: number, outputTokens: number, costUsd: number) => ({
    inputTokens,
    outputTokens,
    costUsd,
  })
  expect(blocksOf(spans)).toEqual([
    row(1, '', 'refund_chat.turn', 0, { flags: blockFlag.root }),
    row(2, root, 'llm.query_rewrite', 5, tokens(84, 22, 0.000071)),
    row(3, root, 'vector.embed', 42, tokens(13, 0, 0.0000003)),
    row(4, root, 'vector.retrieve', 62),
    row(5, '0400000000000000', 'rerank.cross_encoder', 284),
    row(6, root, 'llm.generate', 329, tokens(1870, 180, 0.00831)),
    row(7, root, 'tool.citation_check', 2129),
    row(8, root, 'llm.judge.policy_correct', 2239),
  ])
})

describe('facts are a function of the slice alone', () => {
  test('whatever was read before, and wherever in a record it lies', () => {
    const { requests } = agentTraffic({ seed: 5, traces: 60, startMs: 1_716_370_863_120 })
    const slices = requests.flatMap(({ data }) => byTrace(data))
    expect(slices.length).toBeGreaterThan(100)
    const shared = new SliceFactsExtractor()
    const texts = slices.map(slice => packedOf(slice).text)
    const value = Buffer.concat(slices.map(slice => encodeTraces(slice)))
    const table = new SpanTable()
    scanTraces(value, 0, value.length, table, plainInterest.interest)
    const order = slices.map((_, at) => at).reverse()
    const starts = slices.map(({ resourceSpans }) => countSpans(resourceSpans))
    const from = (at: number) => starts.slice(0, at).reduce((sum, count) => sum + count, 0)
    for (const at of order) {
      const row = from(at)
      expect(sliceOf(shared, table, row, row + (starts[at] as number)).text).toBe(texts[at])
    }
  })

  test('tokens and cost are those of the one view of GenAI, in every dialect', () => {
    const { requests } = agentTraffic({ seed: 8, traces: 80, startMs: 1_716_370_863_120 })
    let seen = 0
    for (const slice of requests.flatMap(({ data }) => byTrace(data))) {
      const blocks = blocksOf(factsOf(slice).spans)
      const spans = slice.resourceSpans.flatMap(({ resource, scopeSpans }) =>
        scopeSpans.flatMap(scope => scope.spans.map(span => ({ span, resource }))),
      )
      expect(blocks).toHaveLength(spans.length)
      for (const [at, { span, resource }] of spans.entries()) {
        const view = genAiView(span, resource.attributes)
        if (view?.inputTokens != null) seen++
        expect(blocks[at]).toMatchObject({
          spanId: span.spanId,
          inputTokens: view?.inputTokens ?? 0,
          outputTokens: view?.outputTokens ?? 0,
          costUsd: view?.costUsd ?? 0,
        })
      }
    }
    expect(seen).toBeGreaterThan(100)
  })
})

describe('tokens and cost', () => {
  test('are read under every name, as int, double and text', () => {
    for (const meaning of ['inputTokens', 'outputTokens'] as const) {
      for (const key of genAiNames[meaning]) {
        for (const value of [int(300), double(300), text('300')]) {
          expect(blockOf([{ key, value }])).toMatchObject({ [meaning]: 300 })
        }
      }
    }
    for (const key of genAiNames.costUsd.slice(0, -1)) {
      for (const value of [double(0.25), text('0.25'), text(' 2.5e-1 ')]) {
        expect(blockOf([{ key, value }]).costUsd).toBe(0.25)
      }
    }
    const details = 'langfuse.observation.cost_details'
    const costOf = (json: string) => blockOf([{ key: details, value: text(json) }]).costUsd
    expect(costOf('{"input":0.5,"output":0.25}')).toBe(0.75)
    expect(costOf('{"input":0.5,"total":0.25}')).toBe(0.25)
    expect(costOf('{"input":')).toBe(0)
    expect(costOf('{"total":0.25}'.padEnd(costDetailsBytesMax))).toBe(0.25)
    expect(costOf('{"total":0.25}'.padEnd(costDetailsBytesMax + 1))).toBe(0)
  })

  test('of several names the newest counts, and nothing is added up', () => {
    const [newest, older] = genAiNames.inputTokens
    for (const pairs of [
      [pair(newest, int(7)), pair(older, int(9))],
      [pair(older, int(9)), pair(newest, int(7))],
      [pair(older, int(7)), pair(newest, text('many'))],
    ]) {
      expect(blockOf(pairs).inputTokens).toBe(7)
    }
  })

  test('what is no count is ignored and counted, and a count saturates', () => {
    const key = genAiNames.inputTokens[0]
    for (const value of [text('many'), double(1.5), int(-1), bool(true), double(Number.NaN), {}]) {
      const facts = factsOf(requestOf([{ attributes: [{ key, value }] }]))
      expect(blocksOf(facts.spans)[0]?.inputTokens).toBe(0)
      expect(facts.ignored).toBe(1)
    }
    expect(blockOf([pair(key, int(2 ** 32))]).inputTokens).toBe(2 ** 32 - 1)
    expect(factsOf(requestOf([{ attributes: [pair(key, int(1))] }]))).not.toHaveProperty('ignored')
  })
})

describe('outcomes', () => {
  test('csat is a number however it is sent; anything else is ignored and counted', () => {
    for (const value of [int(2), double(2), text('2'), text(' 2.0 ')]) {
      const facts = factsOf(requestOf([{ attributes: [pair('outcome.csat_response', value)] }]))
      expect(facts.outcomes).toEqual([{ name: 'csat', spanId, score: 2 }])
      expect(facts.ignored).toBeUndefined()
    }
    for (const value of [text('great'), bool(false), {}, { arrayValue: { values: [] } }]) {
      const facts = factsOf(requestOf([{ attributes: [pair('outcome.csat_response', value)] }]))
      expect(facts.outcomes).toBeUndefined()
      expect(facts.ignored).toBe(1)
    }
  })

  test('booleans below outcome. pass or fail, and nothing else there does', () => {
    expect(
      outcomesOf([
        pair('outcome.resolved', bool(true)),
        pair('outcome.policy "correct"', bool(false)),
        pair('outcome.note', text('false')),
        pair('outcomes.other', bool(false)),
      ]),
    ).toEqual([
      { name: 'outcome.resolved', spanId, passed: true },
      { name: 'outcome.policy "correct"', spanId, passed: false },
    ])
  })

  test('a judge has a score, a label and a flag; a label too long for a fact is content', () => {
    const label = 'l'.repeat(factTextBytesMax)
    expect(
      outcomesOf([
        pair('judge.score', text('0.25')),
        pair('judge.label', text(label)),
        pair('judge.passed', bool(false)),
      ]),
    ).toEqual([{ name: 'judge', spanId, score: 0.25, label, passed: false }])
    expect(
      outcomesOf([pair('judge.label', text(`${label}l`)), pair('judge.score', int(1))]),
    ).toEqual([{ name: 'judge', spanId, score: 1 }])
    expect(outcomesOf([pair('judge.rationale', text('free text'))])).toBeUndefined()
  })

  test('unsupported claims are counted, never quoted, however the list is sent', () => {
    const count = (value: AnyValue) =>
      outcomesOf([pair('citation.unsupported', value)])?.[0]?.unsupported
    const list = (...values: AnyValue[]): AnyValue => ({ arrayValue: { values } })
    expect(count(list())).toBe(0)
    expect(count(list(text('a'), {}, list(text('b'), text('c'))))).toBe(3)
    expect(count(text('[]'))).toBe(0)
    expect(count(text(' [ ] '))).toBe(0)
    expect(count(text('["a, b", "c] \\" ,", {"d": [1, 2]}]'))).toBe(3)
    expect(count(text("['14-day window', \"it's\"]"))).toBe(2)
    expect(count(text('14-day refund window'))).toBe(1)
    expect(count(text(''))).toBe(0)
    expect(count(text('null'))).toBe(0)
    expect(count(int(4))).toBe(4)
    expect(
      JSON.stringify(outcomesOf([pair('citation.unsupported', text('secret'))])),
    ).not.toContain('secret')
  })

  test('an evaluation event is an outcome; one without a name is none', () => {
    const evaluation = (name: string | undefined, ...more: KeyValue[]) => ({
      timeUnixNano: 0n,
      name: 'gen_ai.evaluation.result',
      attributes: [
        ...(name === undefined ? [] : [pair('gen_ai.evaluation.name', text(name))]),
        ...more,
      ],
      droppedAttributesCount: 0,
    })
    const score = (value: AnyValue) => pair('gen_ai.evaluation.score.value', value)
    const label = (value: string) => pair('gen_ai.evaluation.score.label', text(value))
    const events = [
      evaluation('csat', score(text('1'))),
      evaluation(undefined, score(double(0.1))),
      evaluation('judge', score(double(0.4)), label('fail')),
      evaluation('Relevance', label('relevant')),
      { ...evaluation('judge', score(double(0))), name: 'another.event' },
    ]
    expect(factsOf(requestOf([{ events }])).outcomes).toEqual([
      { name: 'csat', spanId, score: 1 },
      { name: 'judge', spanId, score: 0.4, label: 'fail' },
      { name: 'outcome.Relevance', spanId, label: 'relevant' },
    ])
  })

  test('a list keeps factListMax, and of those the ones that look failed', () => {
    const passing = Array.from({ length: factListMax }, (_, i) => pair(`outcome.o${i}`, bool(true)))
    const full = factsOf(requestOf([{ attributes: passing }]))
    expect(full.outcomes).toHaveLength(factListMax)
    expect(full.truncated).toBeUndefined()
    const late = [
      pair('outcome.late', bool(false)),
      pair('csat', int(1)),
      pair('judge.score', double(0.2)),
      pair('citation.unsupported', int(1)),
      pair('outcome.good', bool(true)),
    ]
    const over = factsOf(requestOf([{ attributes: [...passing, ...late] }]))
    expect(over.outcomes).toHaveLength(factListMax)
    expect(over.truncated).toBe(true)
    expect(over.outcomes?.slice(-4).map(({ name }) => name)).toEqual([
      'citation',
      'judge',
      'csat',
      'outcome.late',
    ])
  })
})

describe('roots and errors', () => {
  test('entry spans may be roots unless their parent is in the slice', () => {
    const span = (id: string, parent: string, more: Partial<Span>) => ({
      spanId: id.repeat(16),
      parentSpanId: parent.repeat(16),
      ...more,
    })
    const facts = factsOf(
      requestOf([
        span('1', '9', { kind: 2, name: 'server' }),
        span('2', '9', { kind: 5, name: 'consumer' }),
        span('3', '9', { flags: 0x301, name: 'remote' }),
        span('4', '9', { flags: 0x201, name: 'bit 9 without bit 8' }),
        span('5', '1', { kind: 2, name: 'below the first' }),
        span('6', '', { kind: 1, name: 'none', status: { code: 2, message: 'private' } }),
        span('7', '0', { name: 'zeros' }),
      ]),
    )
    expect(facts.roots?.map(one => [one.name, one.parentId?.[0], one.error])).toEqual([
      ['server', '9', undefined],
      ['consumer', '9', undefined],
      ['remote', '9', undefined],
      ['none', undefined, true],
      ['zeros', undefined, undefined],
    ])
    expect(facts.errors).toEqual([{ spanId: '6'.repeat(16), name: 'none' }])
    const flags = blocksOf(facts.spans).map(block => block.flags)
    const { entry, root, error } = blockFlag
    expect(flags).toEqual([entry, entry, entry, 0, entry, root | error, root])
  })

  test('lists keep factListMax; a span without parent goes before one with', () => {
    const span = (i: number, more: Partial<Span>) => ({
      spanId: (i + 1).toString(16).padStart(16, '0'),
      ...more,
    })
    const entries = Array.from({ length: factListMax }, (_, i) =>
      span(i, { kind: 2, parentSpanId: 'f'.repeat(16), status: { code: 2, message: '' } }),
    )
    const full = factsOf(requestOf(entries))
    expect([full.roots?.length, full.errors?.length]).toEqual([factListMax, factListMax])
    expect(full.truncated).toBeUndefined()
    const over = factsOf(requestOf([...entries, span(40, { name: 'root' }), ...entries]))
    expect(over.roots).toHaveLength(factListMax)
    expect(over.roots?.at(-1)?.name).toBe('root')
    expect(over.truncated).toBe(true)
    expect(blocksOf(over.spans).filter(block => block.flags & blockFlag.error)).toHaveLength(64)
    const errors = Array.from({ length: factListMax + 1 }, (_, i) =>
      span(i, { parentSpanId: 'f'.repeat(16), status: { code: 2, message: '' } }),
    )
    expect(factsOf(requestOf(errors))).toMatchObject({ truncated: true })
    expect(factsOf(requestOf(errors)).errors).toHaveLength(factListMax)
  })

  test('durations are exact to the nanosecond, 0 for a clock that ran backwards', () => {
    const duration = (start: bigint, end: bigint) =>
      factsOf(requestOf([{ startTimeUnixNano: start, endTimeUnixNano: end }])).roots?.[0]
        ?.durationMs
    expect(duration(1_716_370_863_120_000_000n, 1_716_370_863_120_123_456n)).toBe(0.123456)
    expect(duration(2n ** 32n - 1n, 2n ** 32n + 999_999n)).toBe(1)
    expect(duration(10n, 9n)).toBe(0)
    expect(duration(2n ** 33n, 1n)).toBe(0)
  })

  test('names and services are cut at a whole character; without a name the service is unknown', () => {
    const name = `${'n'.repeat(factTextBytesMax - 2)}₹₹`
    const facts = factsOf(requestOf([{ name }]))
    expect(facts.roots?.[0]).toMatchObject({
      service: 'unknown_service',
      name: 'n'.repeat(factTextBytesMax - 2),
    })
    expect(facts.services).toBeUndefined()
    const service = 's'.repeat(factTextBytesMax)
    const named = requestOf(
      [{ name: 'a "quoted"\n₹' }],
      [pair('service.name', text(`${service}s`))],
    )
    expect(factsOf(named).services).toEqual([service])
    expect(factsOf(named).roots?.[0]).toMatchObject({ service, name: 'a "quoted"\n₹' })
  })
})

describe('experiment and variant', () => {
  const run = (experiment: string, variant?: string) => [
    pair('experiment.id', text(experiment)),
    ...(variant === undefined ? [] : [pair('experiment.variant', text(variant))]),
  ]
  const flag = (key: string, variant: string) => ({
    timeUnixNano: 0n,
    name: 'feature_flag.evaluation',
    attributes: [
      pair('feature_flag.key', text(key)),
      pair('feature_flag.result.variant', text(variant)),
    ],
    droppedAttributesCount: 0,
  })
  const named = (data: TracesData) => [factsOf(data).experiment, factsOf(data).variant]

  test('are the resource’s before a span’s before a flag’s', () => {
    const events = [flag('dark-mode', 'on'), flag('other', 'off')]
    expect(named(requestOf([{ attributes: run('s', 'S'), events }], run('r', 'R')))).toEqual([
      'r',
      'R',
    ])
    expect(named(requestOf([{ events }, { attributes: run('s', 'S') }]))).toEqual(['s', 'S'])
    expect(named(requestOf([{ events }]))).toEqual(['dark-mode', 'on'])
    expect(named(requestOf([{ events, attributes: run('s') }]))).toEqual(['s', undefined])
    const old = [pair('feature_flag.key', text('k')), pair('feature_flag.variant', text('v'))]
    expect(named(requestOf([{ attributes: old }]))).toEqual(['k', 'v'])
  })

  test('are a pair of one owner where there is one', () => {
    expect(named(requestOf([{ attributes: run('a') }, { attributes: run('b', 'B') }]))).toEqual([
      'b',
      'B',
    ])
    const variant = [pair('experiment.variant', text('B'))]
    expect(named(requestOf([{ attributes: variant }], run('r')))).toEqual(['r', 'B'])
    const long = 'x'.repeat(factTextBytesMax + 1)
    expect(named(requestOf([{ attributes: run(long, 'B') }]))).toEqual([undefined, 'B'])
  })
})

test('rv and th come from the first trace state that has them', () => {
  const sampling = (...states: string[]) => {
    const { rv, th } = factsOf(requestOf(states.map(traceState => ({ traceState }))))
    return { rv, th }
  }
  const rv = '0123456789abcd'
  expect(sampling('', `vendor=1, ot=th:c;rv:${rv}`, 'ot=th:8')).toEqual({ rv, th: 'c' })
  expect(sampling('vendor=ot', 'ot=p:8', 'ot=th:8')).toEqual({ rv: undefined, th: '8' })
  expect(sampling('ot=th:C;rv:123', 'not=th:8', 'ot=')).toEqual({ rv: undefined, th: undefined })
  expect(sampling(`ot=rv:${rv},x=1`)).toEqual({ rv, th: undefined })
  expect(sampling(`ot=${'x'.repeat(250)};th:8`)).toEqual({ rv: undefined, th: '8' })
  expect(sampling(`ot=${'x'.repeat(253)};th:8`)).toEqual({ rv: undefined, th: undefined })
})

const spanId = '0102030405060708'

function packedOf(data: TracesData): PackedSlice {
  const bytes = encodeTraces(data)
  const table = new SpanTable()
  const rows = scanTraces(bytes, 0, bytes.length, table, plainInterest.interest)
  return sliceOf(new SliceFactsExtractor(), table, 0, rows)
}

function factsOf(data: TracesData): SliceFacts {
  return packedOf(data).facts
}

function outcomesOf(attributes: readonly KeyValue[]) {
  return factsOf(requestOf([{ attributes }])).outcomes
}

function blockOf(attributes: readonly KeyValue[]) {
  const [block] = blocksOf(factsOf(requestOf([{ attributes }])).spans)
  if (block === undefined) throw new Error('no block')
  return block
}

function blocksOf(spans: string) {
  const bytes = Buffer.from(spans, 'base64')
  expect(bytes.length % spanBlockBytes).toBe(0)
  return Array.from({ length: bytes.length / spanBlockBytes }, (_, at) => {
    const block = bytes.subarray(at * spanBlockBytes, (at + 1) * spanBlockBytes)
    return {
      spanId: block.toString('hex', blockAt.spanId, blockAt.spanId + 8),
      opHash: block.readUInt32LE(blockAt.opHash),
      startOffsetMs: block.readUInt32LE(blockAt.startOffsetMs),
      inputTokens: block.readUInt32LE(blockAt.inputTokens),
      outputTokens: block.readUInt32LE(blockAt.outputTokens),
      costUsd: block.readDoubleLE(blockAt.costUsd),
      flags: block.readUInt32LE(blockAt.flags),
    }
  })
}

function byTrace(data: TracesData): TracesData[] {
  const ids = new Set(
    data.resourceSpans.flatMap(r => r.scopeSpans.flatMap(s => s.spans.map(span => span.traceId))),
  )
  return [...ids].map(id => ({
    resourceSpans: data.resourceSpans
      .map(entry => ({
        ...entry,
        scopeSpans: entry.scopeSpans.map(scope => ({
          ...scope,
          spans: scope.spans.filter(span => span.traceId === id),
        })),
      }))
      .filter(entry => countSpans([entry]) > 0),
  }))
}

function countSpans(resourceSpans: TracesData['resourceSpans']): number {
  return resourceSpans.reduce(
    (sum, r) => sum + r.scopeSpans.reduce((n, s) => n + s.spans.length, 0),
    0,
  )
}

function requestOf(
  spans: readonly Partial<Span>[],
  attributes: readonly KeyValue[] = [],
): TracesData {
  return {
    resourceSpans: [
      {
        resource: { attributes, droppedAttributesCount: 0 },
        scopeSpans: [
          {
            scope: { name: '', version: '', attributes: [], droppedAttributesCount: 0 },
            spans: spans.map(span => ({ ...plainSpan, ...span })),
            schemaUrl: '',
          },
        ],
        schemaUrl: '',
      },
    ],
  }
}

const plainSpan: Span = {
  ...emptySpan,
  traceId: '0a'.repeat(16),
  spanId,
}

function pair(key: string, value: AnyValue): KeyValue {
  return { key, value }
}

function text(value: string): AnyValue {
  return { stringValue: value }
}

function int(value: number): AnyValue {
  return { intValue: BigInt(value) }
}

function double(value: number): AnyValue {
  return { doubleValue: value }
}

function bool(value: boolean): AnyValue {
  return { boolValue: value }
}

function sliceOf(
  extractor: SliceFactsExtractor,
  table: SpanTable,
  from: number,
  to: number,
): PackedSlice {
  const slice = summarised({ facts: extractor.pack(table, from, to), spanCount: to - from })
  // What a summary is bounded by is never less than what it gets, and little more.
  expect(extractor.jsonLength).toBeGreaterThanOrEqual(slice.text.length)
  expect(extractor.jsonLength).toBeLessThan(1.5 * slice.text.length + 200)
  return slice
}
