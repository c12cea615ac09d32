import { encodeTraces, type KeyValue, type Span } from '@winnow/otlp'
import { describe, expect, test } from 'vitest'
import { sentSpans } from './sent-span.ts'
import { agentTraffic, type Traffic, trafficEvents } from './traffic.ts'
import { defaultFeatures, defaultRates, planTraffic } from './traffic-options.ts'
import { faqMs } from './traffic-trace.ts'

const seed = 41
const startMs = 1_760_000_000_000
const traces = 5_000
const traffic = agentTraffic({ seed, traces, startMs })

/** All spans with where they were sent, repeats included. */
const sent = traffic.requests.flatMap((request, at) =>
  sentSpans(request.data).map(one => ({ ...one, tenant: request.tenant, atMs: request.atMs, at })),
)

/** By tenant and trace. */
const byTrace = Map.groupBy(sent, ({ tenant, span }) => `${tenant}/${span.traceId}`)
const truthOf = new Map(traffic.traces.map(truth => [`${truth.tenant}/${truth.traceId}`, truth]))

describe(`agent traffic of seed ${seed}`, () => {
  test('equal options give equal traffic, value for value; another seed another one', () => {
    const small = { seed, traces: 200, startMs }
    expect(agentTraffic(small)).toEqual(agentTraffic(small))
    expect(agentTraffic({ ...small, seed: seed + 1 })).not.toEqual(agentTraffic(small))
  })

  test('a trace’s content does not depend on how many follow', () => {
    const few = agentTraffic({ seed, traces: 50, startMs })
    expect(traffic.traces.slice(0, 50)).toEqual(few.traces)
  })

  test('requests, evaluations and traces come in order of time, a trace before its requests', () => {
    let nowMs = 0
    const known = new Set<string>()
    for (const event of trafficEvents({ seed, traces: 500, startMs })) {
      const atMs = event.kind === 'trace' ? event.startMs : event.atMs
      if (event.kind !== 'trace') {
        expect(atMs).toBeGreaterThanOrEqual(nowMs)
        nowMs = atMs
      } else {
        known.add(`${event.tenant}/${event.traceId}`)
      }
      if (event.kind === 'request') {
        for (const { span } of sentSpans(event.data)) {
          expect(known.has(`${event.tenant}/${span.traceId}`)).toBe(true)
        }
      }
    }
  })

  test('a span is sent after it has ended', () => {
    for (const { span, atMs } of sent) {
      expect(Number(span.endTimeUnixNano / 1_000_000n)).toBeLessThanOrEqual(atMs)
    }
  })

  test('every span of every trace is sent, once but for the repeats', () => {
    expect(byTrace.size).toBe(traces)
    for (const [key, spans] of byTrace) {
      const distinct = new Set(spans.map(({ span }) => span.spanId))
      expect(distinct.size, key).toBe(truthOf.get(key)?.spanCount)
    }
  })

  test('classes have their rates', () => {
    for (const [kind, rate] of Object.entries(defaultRates)) {
      const share = traffic.traces.filter(truth => truth.class === kind).length / traces
      // Four standard deviations of a binomial share.
      const tolerance = 4 * Math.sqrt((rate * (1 - rate)) / traces)
      expect(Math.abs(share - rate), kind).toBeLessThan(tolerance)
    }
  })

  test('some 8 spans a trace over 4 to 5 services, 1.7 KB a span', () => {
    const bytes = traffic.requests.reduce((sum, { data }) => sum + encodeTraces(data).length, 0)
    expect(bytes / sent.length).toBeGreaterThan(1_530)
    expect(bytes / sent.length).toBeLessThan(1_870)
    expect(sent.length / traces).toBeGreaterThan(7)
    expect(sent.length / traces).toBeLessThan(9)
    const chats = [...byTrace].filter(([key]) => truthOf.get(key)?.shape === 'chat')
    const services = chats.map(([, spans]) => new Set(spans.map(({ resource }) => resource)).size)
    expect(services.reduce((sum, count) => sum + count, 0) / chats.length).toBeGreaterThan(3.5)
  })

  test.each([1_000, 1_775, 4_000])('spanBytesMean %d is met within a tenth', spanBytesMean => {
    const sized = agentTraffic({ seed, traces: 1_000, startMs, spanBytesMean })
    let bytes = 0
    let spans = 0
    for (const { data } of sized.requests) {
      bytes += encodeTraces(data).length
      spans += sentSpans(data).length
    }
    expect(Math.abs(bytes / spans / spanBytesMean - 1)).toBeLessThan(0.1)
  })

  test('spans of a trace lie in several requests and come out of order', () => {
    let spread = 0
    let childFirst = 0
    let rootBetween = 0
    for (const [key, spans] of byTrace) {
      const ids = spans.map(({ span }) => span.spanId)
      if (new Set(spans.map(({ at }) => at)).size >= 3) spread++
      if (spans.some(({ span }, at) => ids.indexOf(span.parentSpanId) > at)) childFirst++
      const root = truthOf.get(key)?.rootSpanId
      const last = spans.at(-1)?.span.spanId
      if (root !== undefined && root !== null && root !== last && root !== ids[0]) rootBetween++
    }
    expect(spread / traces).toBeGreaterThan(0.8)
    expect(childFirst / traces).toBeGreaterThan(0.8)
    expect(rootBetween / traces).toBeGreaterThan(0.1)
  })

  test('a request has spans of many traces, at most requestSpansMax', () => {
    const packed = agentTraffic({ seed, traces: 1_000, startMs, tracesPerSecond: 2_000 })
    const sizes = packed.requests.map(({ data }) => sentSpans(data).length)
    expect(Math.max(...sizes)).toBe(512)
    const [largest] = packed.requests.toSorted(
      (a, b) => sentSpans(b.data).length - sentSpans(a.data).length,
    )
    const ids = largest && new Set(sentSpans(largest.data).map(({ span }) => span.traceId))
    expect(ids?.size).toBeGreaterThan(64)
  })

  test('both tenants send, and use a trace id both of them now and then', () => {
    const tenants = Map.groupBy(traffic.traces, ({ tenant }) => tenant)
    expect([...tenants.keys()].toSorted()).toEqual(['acme', 'globex'])
    for (const own of tenants.values()) expect(own.length).toBeGreaterThan(traces * 0.45)
    const shared = withFeature('sharedTraceId')
    expect(shared.length).toBeGreaterThan(0)
    for (const { tenant, traceId } of shared) {
      const other = tenant === 'acme' ? 'globex' : 'acme'
      expect(truthOf.has(`${other}/${traceId}`)).toBe(true)
    }
    expect(truthOf.size).toBe(traces)
  })
})

describe('what makes traffic awkward', () => {
  test('errors are recovered, storms, or fatal', () => {
    const errors = traffic.traces.filter(truth => truth.class === 'error')
    for (const failure of ['recovered', 'storm', 'fatal'] as const) {
      const [one] = errors.filter(truth => truth.failure === failure)
      const spans = spansOf(one)
      const failed = spans.filter(({ status }) => status.code === 2)
      const root = spans.find(({ spanId }) => spanId === one?.rootSpanId)
      const refunds = spans.filter(({ name }) => name === 'execute_tool issue_refund')
      expect(failed.length, failure).toBeGreaterThan(failure === 'storm' ? 3 : 0)
      expect(failed.every(({ events }) => events.some(({ name }) => name === 'exception'))).toBe(
        true,
      )
      expect(refunds.some(({ status }) => status.code !== 2)).toBe(failure !== 'fatal')
      if (root !== undefined) expect(root.status.code === 2).toBe(failure === 'fatal')
    }
    for (const truth of traffic.traces.filter(({ failure }) => failure === 'none')) {
      expect(spansOf(truth).every(({ status }) => status.code !== 2)).toBe(true)
    }
  })

  test('slow traces are slow among their like', () => {
    const like = traffic.traces.filter(({ shape }) => shape === 'chat')
    const usual = like.filter(truth => truth.class === 'ordinary').map(durationMs)
    const slow = like.filter(truth => truth.class === 'slow').map(durationMs)
    const median = usual.toSorted((a, b) => a - b)[usual.length >> 1] ?? 0
    expect(slow.length).toBeGreaterThan(20)
    expect(Math.min(...slow)).toBeGreaterThan(4 * median)
  })

  test('an answer from the list takes exactly as long as any other', () => {
    const durations = new Set(traffic.traces.filter(({ shape }) => shape === 'faq').map(durationMs))
    expect([...durations]).toEqual([faqMs])
  })

  test('long traces last longer than openMax, their root first or last', () => {
    const long = withFeature('long')
    const early = long.filter(truth => durationMs(truth) < 1_000)
    expect(early.length).toBeGreaterThan(0)
    expect(early.length).toBeLessThan(long.length)
    for (const truth of long) {
      const times = (byTrace.get(`${truth.tenant}/${truth.traceId}`) ?? []).map(one => one.atMs)
      expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(100_000)
    }
  })

  test('a remote parent never comes, and a rootless trace has no candidate for a root', () => {
    const isEntry = ({ kind, flags }: Span) => kind === 2 || kind === 5 || (flags & 0x200) !== 0
    for (const truth of withFeature('remoteParent')) {
      const spans = spansOf(truth)
      const ids = new Set(spans.map(({ spanId }) => spanId))
      expect(spans.every(({ parentSpanId }) => parentSpanId !== '')).toBe(true)
      const open = spans.filter(span => !ids.has(span.parentSpanId))
      expect(open.map(({ spanId }) => spanId)).toEqual([truth.rootSpanId])
      expect(open.every(isEntry)).toBe(true)
    }
    for (const truth of withFeature('rootless')) {
      const spans = spansOf(truth)
      const ids = new Set(spans.map(({ spanId }) => spanId))
      const open = spans.filter(span => !ids.has(span.parentSpanId))
      expect(open.length).toBeGreaterThan(0)
      expect(open.some(span => isEntry(span) || span.parentSpanId === '')).toBe(false)
    }
  })

  test.each([false, true])('an entry span does not wait long for its parent, quick %s', quick => {
    // Else it would pass for the root meanwhile, and the verdict depend on how long that was.
    const limitMs = quick ? 1_500 : 6_000
    const { requests } = agentTraffic({ seed, traces: 2_000, startMs, quick })
    const sentAtMs = new Map<string, number>()
    for (const { tenant, data, atMs } of requests) {
      for (const { span } of sentSpans(data)) {
        const key = `${tenant}/${span.traceId}/${span.spanId}`
        if (!sentAtMs.has(key)) sentAtMs.set(key, atMs)
      }
    }
    let waited = 0
    for (const { tenant, data } of requests) {
      for (const { span } of sentSpans(data)) {
        const key = `${tenant}/${span.traceId}/`
        const parentMs = sentAtMs.get(`${key}${span.parentSpanId}`)
        const ownMs = sentAtMs.get(`${key}${span.spanId}`)
        if (span.kind !== 2 || parentMs === undefined || ownMs === undefined) continue
        waited = Math.max(waited, parentMs - ownMs)
      }
    }
    expect(waited).toBeGreaterThan(0)
    expect(waited).toBeLessThan(limitMs)
  })

  test('a second root starts after the first', () => {
    for (const truth of withFeature('twoRoots')) {
      const roots = spansOf(truth).filter(({ parentSpanId }) => parentSpanId === '')
      const [first] = roots.toSorted((a, b) => Number(a.startTimeUnixNano - b.startTimeUnixNano))
      expect(roots.length).toBe(2)
      expect(first?.spanId).toBe(truth.rootSpanId)
    }
  })

  test('clients send spans twice, grouped differently, and whole requests twice', () => {
    const again = withFeature('duplicates').filter(truth => {
      const spans = byTrace.get(`${truth.tenant}/${truth.traceId}`) ?? []
      return spans.length > truth.spanCount
    })
    expect(again.length).toBe(withFeature('duplicates').length)
    const mixed = traffic.requests.filter(({ data }) => data.resourceSpans.length > 1)
    expect(mixed.length).toBeGreaterThan(10)
    const whole = Map.groupBy(traffic.requests, ({ data }) => data)
    expect([...whole.values()].some(copies => copies.length === 2)).toBe(true)
  })

  test('trace states carry randomness, head sampling with R ≥ T, and nonsense', () => {
    for (const truth of withFeature('headSampled')) {
      const [, th, rv] = /ot=th:([0-9a-f]+);rv:([0-9a-f]{14})$/.exec(stateOf(truth)) ?? []
      expect((rv ?? '') >= (th ?? 'x').padEnd(14, '0')).toBe(true)
    }
    for (const truth of withFeature('explicitRandomness')) {
      expect(stateOf(truth)).toMatch(/^(congo=t61rcWkgMzE,)?ot=rv:[0-9a-f]{14}$/)
    }
    for (const truth of withFeature('badTraceState')) {
      expect(stateOf(truth)).not.toMatch(/rv:[0-9a-f]{14}(;|$)/)
    }
    expect(withFeature('headSampled').length).toBeGreaterThan(50)
    expect(withFeature('badTraceState').length).toBeGreaterThan(5)
  })

  test('all naming conventions occur, numbers as text and numbers that are none', () => {
    const keys = new Set(sent.flatMap(({ span }) => span.attributes.map(({ key }) => key)))
    for (const key of [
      'gen_ai.provider.name',
      'gen_ai.input.messages',
      'gen_ai.usage.prompt_tokens',
      'llm.token_count.prompt',
      'traceloop.span.kind',
      'gen_ai.system',
      'prompt.composition_hash',
    ]) {
      expect(keys.has(key), key).toBe(true)
    }
    const csats = attributesNamed('outcome.csat_response')
    expect(csats.some(value => 'intValue' in value)).toBe(true)
    expect(csats.some(value => 'stringValue' in value && value.stringValue === '2')).toBe(true)
    expect(csats.some(value => 'stringValue' in value && value.stringValue === 'great')).toBe(true)
    const tokens = attributesNamed('gen_ai.usage.input_tokens')
    expect(tokens.some(value => 'stringValue' in value)).toBe(true)
  })

  test('unnamed services, links, events, odd values, other scripts, backwards spans', () => {
    expect(sent.some(({ resource }) => !named(resource.attributes))).toBe(true)
    expect(sent.filter(({ span }) => span.links.length > 0).length).toBeGreaterThan(100)
    expect(sent.some(({ span }) => span.events.some(({ name }) => name === 'gen_ai.choice'))).toBe(
      true,
    )
    expect(attributesNamed('odd.mixed').length).toBeGreaterThan(50)
    const texts = attributesNamed('user.message').map(value => Object.values(value)[0] as string)
    expect(texts.some(text => /[\u0900-\u097f]/.test(text))).toBe(true)
    expect(texts.some(text => /\p{Emoji_Presentation}/u.test(text))).toBe(true)
    expect(texts.every(text => text.isWellFormed())).toBe(true)
    const backwards = sent.filter(({ span }) => span.endTimeUnixNano < span.startTimeUnixNano)
    expect(backwards.length).toBeGreaterThan(5)
  })

  test('outcomes are told by spans, before, shortly after and long after', () => {
    const told = Map.groupBy(traffic.traces, truth => truth.told)
    for (const when of ['before', 'shortly', 'later', 'long'] as const) {
      for (const truth of told.get(when) ?? []) {
        const key = `${truth.tenant}/${truth.traceId}`
        const firstMs = Math.min(...(byTrace.get(key) ?? []).map(({ atMs }) => atMs))
        const toldMs = Math.min(
          ...traffic.evaluations
            .filter(one => one.traceId === truth.traceId && one.tenant === truth.tenant)
            .map(one => one.atMs),
        )
        if (when === 'before') expect(toldMs).toBeLessThan(firstMs)
        else expect(toldMs).toBeGreaterThan(truth.endMs)
        if (when === 'long') expect(toldMs - truth.endMs).toBeGreaterThanOrEqual(3_600_000)
      }
      expect(told.get(when)?.length, when).toBeGreaterThan(5)
    }
  })

  test('evaluations are repeated under one id, and some are of traces that never come', () => {
    const byId = Map.groupBy(traffic.evaluations, one => `${one.tenant}/${one.id}`)
    const repeated = [...byId.values()].filter(({ length }) => length === 2)
    expect(repeated.length).toBeGreaterThan(10)
    for (const [a, b] of repeated) expect({ ...b, atMs: 0 }).toEqual({ ...a, atMs: 0 })
    const orphans = traffic.evaluations.filter(one => !truthOf.has(`${one.tenant}/${one.traceId}`))
    expect(orphans.length).toBeGreaterThan(1)
  })
})

test('quick traffic is over a few seconds after its last trace', () => {
  const quick = agentTraffic({ seed, traces: 2_000, startMs, quick: true })
  const lastMs = Math.max(...quick.traces.map(truth => truth.startMs))
  expect(lastMs - startMs).toBeLessThan(7_000)
  expect(endOf(quick) - lastMs).toBeLessThan(12_000)
})

test('two days are a matter of the rate', () => {
  const slow = agentTraffic({ seed, traces: 300, startMs, tracesPerSecond: 300 / 172_800 })
  const hours = (Math.max(...slow.traces.map(truth => truth.startMs)) - startMs) / 3_600_000
  expect(hours).toBeGreaterThan(40)
  expect(hours).toBeLessThan(56)
})

test('every feature can be turned off and on', () => {
  const off = Object.fromEntries(Object.keys(defaultFeatures).map(name => [name, 0]))
  const plain = agentTraffic({ seed, traces: 300, startMs, features: off, rates: noRates })
  expect(plain.evaluations).toEqual([])
  expect(plain.traces.every(truth => truth.features.length === 0)).toBe(true)
  expect(plain.traces.every(truth => truth.class === 'ordinary')).toBe(true)
  const links = agentTraffic({ seed, traces: 300, startMs, features: { ...off, links: 1 } })
  expect(links.traces.every(truth => truth.features.join() === 'links')).toBe(true)
})

test('impossible options are refused by name', () => {
  const plan = (options: object) => () => planTraffic({ seed, traces, startMs, ...options })
  expect(plan({ rates: { error: 1.5 } })).toThrow('rates')
  expect(plan({ features: { long: -0.1 } })).toThrow('long is -0.1')
  expect(plan({ tenants: [] })).toThrow('tenants')
  expect(plan({ spanBytesMean: 599 })).toThrow('spanBytesMean is 599')
  expect(plan({ spanBytesMean: 600 })).not.toThrow()
  expect(plan({ traces: 0.5 })).toThrow('traces is 0.5')
})

const noRates = Object.fromEntries(Object.keys(defaultRates).map(name => [name, 0]))

function withFeature(name: (typeof traffic.traces)[number]['features'][number]) {
  return traffic.traces.filter(({ features }) => features.includes(name))
}

function spansOf(truth: Traffic['traces'][number] | undefined): Span[] {
  const spans = byTrace.get(`${truth?.tenant}/${truth?.traceId}`) ?? []
  return [...new Map(spans.map(({ span }) => [span.spanId, span])).values()]
}

function durationMs(truth: Traffic['traces'][number]): number {
  const root = spansOf(truth).find(({ spanId }) => spanId === truth.rootSpanId)
  return root === undefined ? 0 : Number(root.endTimeUnixNano - root.startTimeUnixNano) / 1e6
}

function stateOf(truth: Traffic['traces'][number]): string {
  const [state, ...others] = new Set(spansOf(truth).map(({ traceState }) => traceState))
  expect(others).toEqual([])
  return state ?? ''
}

function attributesNamed(name: string) {
  return sent.flatMap(({ span }) =>
    span.attributes.filter(({ key }) => key === name).map(({ value }) => value),
  )
}

function named(attributes: readonly KeyValue[]): boolean {
  return attributes.some(({ key }) => key === 'service.name')
}

function endOf({ requests, evaluations }: Traffic): number {
  return Math.max(requests.at(-1)?.atMs ?? 0, evaluations.at(-1)?.atMs ?? 0)
}
