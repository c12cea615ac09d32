import { factInterest, sliceReader } from '@winnow/assembler'
import { encodeTenantRuns, type PackedSlice } from '@winnow/model'
import { emptySpan, encodeTraces, type KeyValue, type Span } from '@winnow/otlp'
import { compilePolicy, parsePolicy, policyColumns } from '@winnow/sampler'
import { summarised } from '../../services/assembler/src/packed-slice.fixture.ts'
import { foldTrace } from '../../services/sampler/src/fold.ts'
import { judge, randomnessText } from '../../services/sampler/src/verdict.ts'

type Attributes = Readonly<Record<string, string | number | boolean>>

interface SpanSpec {
  readonly name: string
  readonly ms: number
  readonly attributes?: Attributes
  readonly status?: 'OK' | 'ERROR'
  readonly more?: Partial<Span>
}

/** The first span is the root. Letters e to g have a trace id in the upper half: a rate of one half keeps them. */
const traffic: Readonly<Record<string, { service?: string; rootless?: true; spans: SpanSpec[] }>> =
  {
    /** 20 ms, OK, a health check. */
    a: {
      spans: [
        { name: 'GET', ms: 20, status: 'OK', attributes: { 'http.route': '/health', code: 200 } },
      ],
    },
    /** 6,000 ms; gold on a child. */
    b: {
      spans: [
        { name: 'GET', ms: 6_000 },
        { name: 'child', ms: 5, attributes: { tier: 'gold', code: 201 } },
      ],
    },
    /** 150 ms; free on the root, 500 and an error on a child. */
    c: {
      spans: [
        { name: 'POST', ms: 150, attributes: { tier: 'free' } },
        { name: 'child', ms: 50, status: 'ERROR', attributes: { code: 500 } },
        { name: 'other', ms: 1 },
      ],
    },
    /** 100 ms, twelve spans of another service; a ratio of 7.5. */
    d: {
      service: 'batch',
      spans: Array.from({ length: 12 }, (_, at) => ({
        name: at === 0 ? 'job' : 'step',
        ms: 100,
        attributes: at === 0 ? { ratio: 7.5 } : {},
      })),
    },
    /** 50 ms, forced, with a trace state and the sampled flag. */
    e: {
      spans: [
        {
          name: 'GET',
          ms: 50,
          attributes: { force: true },
          more: { traceState: 'vendor=debug', flags: 1 },
        },
      ],
    },
    /** 20 ms, a gold probe that asks to be dropped. */
    f: {
      spans: [
        { name: 'GET', ms: 20, attributes: { 'http.route': '/live', drop: true, tier: 'gold' } },
      ],
    },
    /** 200 ms, no root, a code that is text. */
    g: { rootless: true, spans: [{ name: 'GET', ms: 200, attributes: { code: '503' } }] },
  }
export const all = Object.keys(traffic).join('')

/** The letters of the traces that a policy keeps, after the whole way of a span: scanned, folded, judged. */
export function keptBy(yaml: string): string {
  const policy = parsePolicy(yaml)
  const compiled = compilePolicy(policy, (name, error) => {
    throw new Error(`${name} threw: ${error}`)
  })
  const columns = policyColumns(policy)
  const kept = Object.keys(traffic).filter(letter => {
    const traceId = idOf(letter)
    const facts = foldTrace(slicesOf(letter, columns))
    const randomness = randomnessText(traceId, facts)
    const answers = compiled.answer(facts, {
      nowMs: 1,
      randomness,
      earlier: () => undefined,
      slowBar: () => ({ count: 0, key: '' }),
      variantUsed: () => 0,
    })
    return judge(answers, randomness, undefined, undefined).verdict === 'keep'
  })
  return kept.join('')
}

/** R is what the last 14 digits say. */
function idOf(letter: string): string {
  return `${letter.repeat(18)}${'efg'.includes(letter) ? 'f' : '0'}0000000000000`.replaceAll(
    'g',
    '9',
  )
}

function slicesOf(letter: string, columns: readonly string[]): PackedSlice[] {
  const { service = 'web', rootless, spans } = traffic[letter] as (typeof traffic)[string]
  const startMs = 1_700_000_000_000
  const resource = { attributes: [pair('service.name', service)], droppedAttributesCount: 0 }
  const scope = { name: '', version: '', attributes: [], droppedAttributesCount: 0 }
  const own = spans.map(({ name, ms, attributes = {}, status, more }, at) => ({
    ...emptySpan,
    traceId: idOf(letter),
    spanId: `${at + 1}`.padStart(16, '0'),
    parentSpanId: at > 0 || rootless ? '00000000000000aa' : '',
    name,
    startTimeUnixNano: BigInt(startMs) * 1_000_000n,
    endTimeUnixNano: BigInt(startMs + ms) * 1_000_000n,
    attributes: Object.entries(attributes).map(([key, one]) => pair(key, one)),
    status: { code: status === 'ERROR' ? 2 : status === 'OK' ? 1 : 0, message: '' },
    ...more,
  }))
  const value = encodeTraces({
    resourceSpans: [
      { resource, scopeSpans: [{ scope, spans: own, schemaUrl: '' }], schemaUrl: '' },
    ],
  })
  const interest = factInterest(columns)
  const header = encodeTenantRuns([{ tenant: 'default', start: 0, length: value.length }])
  return [...sliceReader(() => interest)(value, header)].map(slice => summarised(slice))
}

function pair(key: string, value: string | number | boolean): KeyValue {
  if (typeof value === 'string') return { key, value: { stringValue: value } }
  if (typeof value === 'boolean') return { key, value: { boolValue: value } }
  if (!Number.isInteger(value)) return { key, value: { doubleValue: value } }
  return { key, value: { intValue: BigInt(value) } }
}
