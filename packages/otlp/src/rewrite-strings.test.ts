import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeTraces } from './decode.ts'
import { decodeLogs } from './decode-logs.ts'
import { encodeLogs, encodeTraces } from './encode.ts'
import type { AnyValue, KeyValue, LogsData, TracesData } from './otlp.ts'
import { rewritesMax } from './rewrite-edits.ts'
import { rewriteStrings, textPlace } from './rewrite-strings.ts'
import { agentRequest } from './scan.bench.ts'

const text = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ minLength: 100, maxLength: 300 }))
const { value } = fc.letrec<{ value: AnyValue; pair: KeyValue }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ stringValue: text }),
    fc.record({ intValue: fc.bigInt({ min: -5n, max: 2n ** 62n }) }),
    fc.record({ doubleValue: fc.double({ noNaN: true }) }),
    fc.record({ boolValue: fc.boolean() }),
    fc.record({ arrayValue: fc.record({ values: fc.array(tie('value'), { maxLength: 3 }) }) }),
    fc.record({ kvlistValue: fc.record({ values: fc.array(tie('pair'), { maxLength: 3 }) }) }),
  ),
  pair: fc.record({ key: text, value: tie('value') }),
}))
const attributes = fc.array(fc.record({ key: text, value }), { maxLength: 4 })
const none = { droppedAttributesCount: 0 }

function tracesOf(texts: readonly string[], pairs: readonly KeyValue[]): TracesData {
  const t = (n: number): string => texts[n % texts.length] ?? ''
  const link = { traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), flags: 0 }
  const span = {
    traceId: '0a'.repeat(16),
    spanId: '0b'.repeat(8),
    parentSpanId: '',
    traceState: t(1),
    name: t(2),
    kind: 1,
    flags: 0,
    startTimeUnixNano: 1n,
    endTimeUnixNano: 2n,
    attributes: pairs,
    events: [{ timeUnixNano: 3n, name: t(3), attributes: pairs, ...none }],
    droppedEventsCount: 0,
    links: [{ ...link, traceState: t(4), attributes: pairs, ...none }],
    droppedLinksCount: 0,
    status: { code: 2, message: t(5) },
    ...none,
  }
  const entity = { schemaUrl: t(6), type: t(7), idKeys: [t(8)], descriptionKeys: [t(9)] }
  const scope = { name: t(10), version: t(11), attributes: pairs, ...none }
  return {
    resourceSpans: [
      {
        resource: { attributes: pairs, entityRefs: [entity], ...none },
        scopeSpans: [{ scope, spans: [span, span], schemaUrl: t(12) }],
        schemaUrl: t(13),
      },
      { resource: { attributes: [], ...none }, scopeSpans: [], schemaUrl: '' },
    ],
  } as TracesData
}

function logsOf(texts: readonly string[], pairs: readonly KeyValue[]): LogsData {
  const t = (n: number): string => texts[n % texts.length] ?? ''
  const record = {
    timeUnixNano: 1n,
    observedTimeUnixNano: 2n,
    severityNumber: 3,
    severityText: t(1),
    body: { stringValue: t(2) },
    attributes: pairs,
    flags: 0,
    traceId: '0a'.repeat(16),
    spanId: '0b'.repeat(8),
    eventName: t(3),
    ...none,
  }
  const scope = { name: t(4), version: t(5), attributes: pairs, ...none }
  const scopeLogs = [{ scope, logRecords: [record], schemaUrl: t(6) }]
  return {
    resourceLogs: [{ resource: { attributes: pairs, ...none }, scopeLogs, schemaUrl: t(7) }],
  }
}

/** Every string that is no id. */
function mapped<T>(from: T, map: (one: string) => string, name = ''): T {
  if (typeof from === 'string') return (/Id$/.test(name) ? from : map(from)) as T
  if (Array.isArray(from)) return from.map(one => mapped(one, map)) as T
  if (typeof from !== 'object' || from === null) return from
  const entries = Object.entries(from).map(([field, one]) => [field, mapped(one, map, field)])
  return Object.fromEntries(entries) as T
}

const replaced = (one: string): string => (one.includes('a') ? `<${one.length}>`.repeat(40) : one)
const rewriter = {
  rewrite: (bytes: Buffer, start: number, end: number) => {
    const one = bytes.toString('utf8', start, end)
    return replaced(one) === one ? undefined : Buffer.from(replaced(one))
  },
  holdsSecret: () => false,
  rewrote: () => {},
}

test('strings of every place are replaced and everything else is what it was', () => {
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 14 }), attributes, (texts, pairs) => {
      const traces = tracesOf(texts, pairs)
      const bytes = Buffer.from(encodeTraces(traces))
      const expected = mapped(decodeTraces(bytes), replaced)
      expect(decodeTraces(rewriteStrings(bytes, 'traces', rewriter))).toEqual(expected)
      const logs = Buffer.from(encodeLogs(logsOf(texts, pairs)))
      const expectedLogs = mapped(decodeLogs(logs), replaced)
      expect(decodeLogs(rewriteStrings(logs, 'logs', rewriter))).toEqual(expectedLogs)
    }),
  )
})

test('a value with a number and a text behind it is looked at, whatever it begins with', () => {
  const field = (number: number, content: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from([number * 8 + 2, content.length]), content])
  const behind = field(1, Buffer.from('a'))
  const numbers = [
    [0x18, 5],
    [0x10, 1],
    [0x21, 0, 0, 0, 0, 0, 0, 0, 0],
    [0x18, 0x85, 0x8a, 1],
    [0x18, ...new Array<number>(8).fill(0x80), 1],
  ]
  const inPair = (content: Uint8Array): Buffer => field(1, field(1, field(1, field(2, content))))
  for (const number of numbers) {
    const alone = inPair(Buffer.from(number))
    expect(rewriteStrings(alone, 'traces', rewriter)).toBe(alone)
    const both = inPair(Buffer.concat([Buffer.from(number), behind]))
    expect(rewriteStrings(both, 'traces', rewriter).length).toBeGreaterThan(both.length)
  }
  const tooLong = [0x18, ...new Array<number>(9).fill(0x80), 2]
  expect(() => rewriteStrings(inPair(Buffer.from(tooLong)), 'traces', rewriter)).toThrow(
    /longer than 64 bits/,
  )
})

test('where nothing is replaced the very same buffer comes back', () => {
  const bytes = Buffer.from(agentRequest(1))
  const seen: string[] = []
  const same = rewriteStrings(bytes, 'traces', {
    rewrite: (from, start, end) => {
      seen.push(from.toString('utf8', start, end))
      return undefined
    },
    holdsSecret: () => false,
    rewrote: () => seen.push('rewrote'),
  })
  expect(same).toBe(bytes)
  expect(seen).not.toContain('rewrote')
  expect(seen).toContain('service.name')
  expect(seen).toContain('refund-bot')
})

test('the key of a value is named, and the service of what was rewritten', () => {
  const pair = (name: string, one: string): KeyValue => ({ key: name, value: { stringValue: one } })
  const nested = { kvlistValue: { values: [pair('inner', 'x'), pair('last', 'y')] } }
  const data = tracesOf([''], [pair('service.name', 'shop'), { key: 'outer', value: nested }])
  const keys: string[] = []
  const services: string[] = []
  rewriteStrings(Buffer.from(encodeTraces(data)), 'traces', {
    rewrite: (from, start, end, keyStart, keyEnd) => {
      const one = from.toString('utf8', start, end)
      if (keyEnd > keyStart) keys.push(`${from.toString('utf8', keyStart, keyEnd)}=${one}`)
      return one === 'shop' ? Buffer.from('another') : undefined
    },
    holdsSecret: () => false,
    rewrote: service => services.push(service),
  })
  expect(new Set(keys)).toEqual(new Set(['service.name=shop', 'inner=x', 'last=y']))
  expect(services).toEqual(['another'])
})

test('under the key of a secret every value is shown with it, and behind an inner pair the outer key again', () => {
  const of = (stringValue: string): AnyValue => ({ stringValue })
  const list = (...inner: KeyValue[]): AnyValue => ({ kvlistValue: { values: inner } })
  const pair = (name: string, one: AnyValue): KeyValue => ({ key: name, value: one })
  const array: AnyValue = { arrayValue: { values: [list(pair('a', of('b'))), of('c')] } }
  const given = [
    pair('password', array),
    pair('plain', array),
    pair('token', list(pair('x', list(pair('y', of('z')))), pair('password', of('p')))),
    pair('last', of('l')),
  ]
  const shown = (bytes: Uint8Array): string[] => {
    const out: string[] = []
    rewriteStrings(Buffer.from(bytes), 'traces', {
      rewrite: (from, start, end, keyStart, keyEnd) => {
        if (keyEnd > keyStart)
          out.push(
            `${from.toString('utf8', keyStart, keyEnd)}=${from.toString('utf8', start, end)}`,
          )
        return undefined
      },
      holdsSecret: (from, start, end) => /password|token/.test(from.toString('utf8', start, end)),
      rewrote: () => {},
    })
    return out
  }
  const data = {
    resourceSpans: [{ resource: { attributes: given, ...none }, scopeSpans: [], schemaUrl: '' }],
  }
  expect(shown(encodeTraces(data as TracesData))).toEqual([
    'password=b',
    'password=c',
    'a=b',
    'plain=c',
    'token=z',
    'token=p',
    'last=l',
  ])
  // Field 2 before field 1, which any reader of protobuf takes.
  const field = (number: number, content: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from([number * 8 + 2, content.length]), content])
  const turned = Buffer.concat([
    field(2, field(1, Buffer.from('value'))),
    field(1, Buffer.from('password')),
  ])
  expect(shown(field(1, field(1, field(1, turned))))).toEqual(['password=value'])
})

test('what this OTLP does not know goes whole, groups and long ids too, and nothing around it', () => {
  const data = encodeTraces(tracesOf(['plain'], []))
  const field = (number: number, content: Buffer): Buffer => {
    const tag = number * 8 + 2
    return Buffer.concat([Buffer.from([(tag & 127) | 128, tag >> 7, content.length]), content])
  }
  const open = Buffer.from([0xa3, 0x06])
  const group = Buffer.concat([
    open,
    field(40, Buffer.from('a in a group')),
    Buffer.from([0xa4, 0x06]),
  ])
  const bytes = Buffer.concat([
    data,
    field(99, Buffer.from('a secret')),
    group,
    field(98, Buffer.from('b')),
  ])
  const out = rewriteStrings(bytes, 'traces', rewriter)
  expect(out.includes('a secret')).toBe(false)
  expect(out.includes('a in a group')).toBe(false)
  expect(decodeTraces(out)).toEqual(mapped(decodeTraces(data), replaced))
  expect(out.subarray(-4)).toEqual(field(98, Buffer.from('b')))
})

test('a string is shown with where it stands: names, values, values in maps, messages, bytes', () => {
  const of = (stringValue: string): AnyValue => ({ stringValue })
  const values = [
    of('in a list'),
    { kvlistValue: { values: [{ key: 'in', value: of('in a map') }] } },
  ]
  const pairs: KeyValue[] = [
    { key: 'k', value: of('value') },
    { key: 'l', value: { arrayValue: { values: [...values, of('after')] } } },
    { key: 'b', value: { bytesValue: Buffer.from('bytes') } },
  ]
  const shown = new Map<string, number>()
  const show = (data: Uint8Array, signal: 'traces' | 'logs') =>
    rewriteStrings(Buffer.from(data), signal, {
      rewrite: (from, start, end, _keyStart, _keyEnd, place) => {
        shown.set(from.toString('utf8', start, end), place)
        return undefined
      },
      holdsSecret: () => false,
      rewrote: () => {},
    })
  const names = ['service', 'state', 'span', 'event', 'link', 'status message']
  show(encodeTraces(tracesOf(names, pairs)), 'traces')
  show(encodeLogs(logsOf(['schema', 'severity', 'body'], [])), 'logs')
  const { name, value: said, free, bytes } = textPlace
  const want = {
    k: name,
    in: name,
    span: name,
    link: name,
    value: said,
    'in a list': said,
    after: said,
  }
  expect(Object.fromEntries(shown)).toMatchObject({
    ...want,
    'in a map': free,
    'status message': free,
    body: said,
    bytes,
  })
})

test('so many strings of a request are replaced, and a request with one more is refused as too large', () => {
  // A ResourceSpans with a schema URL and nothing else.
  const one = Buffer.from([10, 3, 26, 1, 0x61])
  const most = Buffer.concat(new Array<Buffer>(rewritesMax).fill(one))
  const shortened = { ...rewriter, rewrite: () => Buffer.from('b') }
  const out = rewriteStrings(most, 'traces', shortened)
  expect(out.equals(Buffer.from(most.toString('latin1').replaceAll('a', 'b'), 'latin1'))).toBe(true)
  expect(() => rewriteStrings(Buffer.concat([most, one]), 'traces', shortened)).toThrow(
    /PAYLOAD_TOO_LARGE.*rewritesMax/,
  )
})

test('whatever is cut short is refused, or changed no further than it goes', () => {
  const bytes = Buffer.from(agentRequest(2)).subarray(0, 6_000)
  expect(() => rewriteStrings(bytes, 'traces', rewriter)).toThrow(/not valid protobuf/)
})
