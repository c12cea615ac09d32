import { type Attributes, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { Redactor, sharedTokenKeysFrom, sharedTokenKeysOf, Tokens } from '@winnow/privacy'
import { expect, test } from 'vitest'
import { RedactingSpanProcessor, type RedactionOptions } from './redacting-span-processor.ts'
import { withheld } from './span-redaction.ts'

const secret = 'a secret of the tests, long enough'
const mail = 'maria.lopez@example.com'

function exported(
  options: Partial<RedactionOptions>,
  act: (provider: BasicTracerProvider) => void,
): readonly ReadableSpan[] {
  const exporter = new InMemorySpanExporter()
  const processor = new RedactingSpanProcessor(new SimpleSpanProcessor(exporter), {
    secret,
    ...options,
  })
  const resource = resourceFromAttributes({ 'service.name': 'shop', 'app.owner': mail })
  act(new BasicTracerProvider({ resource, spanProcessors: [processor] }))
  return exporter.getFinishedSpans()
}

test('nothing of a span names anybody once it is exported, and the application’s own is as it was', () => {
  let own: unknown
  const [span, second] = exported({}, provider => {
    const tracer = provider.getTracer(`tracer of ${mail}`)
    const one = tracer.startSpan(`mail ${mail}`, {
      attributes: { to: mail, all: [mail, 'x'], [mail]: 1, 'db.password': 'horse', n: 3 },
      links: [{ context: trace.getSpanContext(ROOT_CONTEXT) ?? linked, attributes: { why: mail } }],
    })
    one.addEvent(`sent to ${mail}`, { body: `{"to":"${mail}"}` })
    one.recordException(new Error(`no mailbox ${mail}`))
    one.setStatus({ code: SpanStatusCode.ERROR, message: `unknown: ${mail}` })
    one.end()
    own = (one as unknown as ReadableSpan).attributes
    tracer.startSpan('second').end()
  })
  const shown = {
    name: span?.name,
    attributes: span?.attributes,
    events: span?.events,
    links: span?.links,
    status: span?.status,
    resource: span?.resource.attributes,
    scope: span?.instrumentationScope.name,
  }
  const text = JSON.stringify(shown)
  expect(text).not.toMatch(/maria|horse/)
  expect(text.match(/<email:e_0[0-9a-f]{11}>/g)?.length).toBeGreaterThan(9)
  expect(new Set(text.match(/<email:\w+>/g)).size).toBe(1)
  expect(span?.attributes).toMatchObject({
    n: 3,
    'db.password': expect.stringMatching(/^<secret:/),
  })
  expect(own).toMatchObject({ to: mail })
  expect(second?.resource).toBe(span?.resource)
  expect(second?.spanContext().spanId).toMatch(/^[0-9a-f]{16}$/)
})

const linked = { traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), traceFlags: 1 }

test('its tokens are those of a receiver with the same secret and tenant', () => {
  const [span] = exported({ tenant: 'team-a' }, provider => {
    provider.getTracer('t').startSpan(mail).end()
  })
  const keys = sharedTokenKeysOf(sharedTokenKeysFrom(secret) ?? [], 'team-a')
  expect(span?.name).toBe(new Tokens(keys).token('email', mail))
  expect(new Redactor(new Tokens(keys)).redactText(span?.name ?? '')).toBe(span?.name)
})

test('prose leaves only where free text may be', () => {
  const prose = 'one two three four five six seven eight nine ten eleven twelve thirteen'
  const attributes: Attributes = {
    'gen_ai.prompt': prose,
    'app.note.x': prose,
    other: prose,
    short: 'a b',
  }
  const [span] = exported({ freeText: ['gen_ai.prompt', 'app.note.*'] }, provider => {
    provider.getTracer('t').startSpan('s', { attributes }).end()
  })
  expect(span?.attributes).toEqual({ ...attributes, other: withheld })
})

test('what a key says of its value counts, and what is a token already stays', () => {
  const attributes = {
    'app.version': '1.2.3.4',
    'client.address': '1.2.3.4',
    'db.password': '<secret:e_012345678901>',
    'api.token': '***',
  }
  const [span] = exported({}, provider => {
    provider.getTracer('t').startSpan('s', { attributes }).end()
  })
  expect(span?.attributes).toEqual({
    ...attributes,
    'client.address': expect.stringMatching(/^<ip:/),
  })
})

test('kinds, patterns and mistakes', () => {
  const options = { detect: ['card'], patterns: [{ kind: 'order', pattern: 'ORD-#{4}' }] }
  const [span] = exported(options, provider => {
    provider.getTracer('t').startSpan(`ORD-1234 ${mail}`).end()
  })
  expect(span?.name).toMatch(/^<order:e_\w+> maria\.lopez@example\.com$/)
  const wrong: readonly Partial<RedactionOptions>[] = [
    { secret: 'too short' },
    { detect: ['names'] },
    { patterns: [{ kind: 'order', pattern: 'ORD' }] },
  ]
  for (const one of wrong) expect(() => exported(one, () => {})).toThrow(TypeError)
})
