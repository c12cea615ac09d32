import { emptySpan, type KeyValue, type TracesData } from '@winnow/otlp'
import { overrideLevels } from '@winnow/privacy'
import { afterEach, expect, test } from 'vitest'
import { AttributeLevels, attributeKeysMax } from './attribute-levels.ts'
import { levelsText } from './levels-text.ts'

afterEach(() => overrideLevels({}))

const text = (key: string, stringValue: string): KeyValue => ({ key, value: { stringValue } })
const secret = 'what the customer said'

function tracesWith(attributes: readonly KeyValue[], scope: readonly KeyValue[] = []): TracesData {
  const resource = { attributes: [text('service.name', 'bot')], droppedAttributesCount: 0 }
  const event = {
    timeUnixNano: 0n,
    name: 'e',
    attributes: [text('exception.type', 'TypeError')],
    droppedAttributesCount: 0,
  }
  const span = { ...emptySpan, attributes, events: [event] }
  const group = {
    scope: { name: '', version: '', attributes: scope, droppedAttributesCount: 0 },
    spans: [span],
    schemaUrl: '',
  }
  return { resourceSpans: [{ resource, scopeSpans: [group], schemaUrl: '' }] }
}

test('each key comes once with its class, who says so and where it stands; no value of it', () => {
  overrideLevels({ structured: ['acme.*'] })
  const levels = new AttributeLevels()
  levels.traces(
    tracesWith(
      [
        text('gen_ai.prompt.0.role', 'user'),
        text('gen_ai.prompt.1.role', 'user'),
        text('acme.order', 'o-1'),
        text('session.id', `${secret} `.repeat(4)),
        text('nobody.knows', secret),
      ],
      [text('scope.own', 'x')],
    ),
  )
  const report = levels.report()
  expect(JSON.stringify(report)).not.toContain(secret)
  const lines = levelsText(report)
  expect(lines).not.toContain(secret)
  expect(report.attributes.map(({ level, key }) => `${level} ${key}`)).toEqual([
    'structural exception.type',
    'structural gen_ai.prompt.N.role',
    'structural service.name',
    'structured acme.order',
    'structured session.id',
    'content nobody.knows',
    'content scope.own',
  ])
  for (const line of [
    /structural exception\.type +1 event +list of structural keys$/m,
    /structural gen_ai\.prompt\.N\.role +2 span +list of structural keys$/m,
    /structured acme\.order +1 span +levels\.structured acme\.\*$/m,
    /structured session\.id .*list of structured keys; 1 of 1 values are prose, long lists or maps: content$/m,
    /content +nobody\.knows .*no list names it$/m,
    /content +scope\.own .*no list names it; of a scope: stored with the text alone$/m,
    /^2 that no list names are content; levels in winnow\.yaml says otherwise/m,
  ]) {
    expect(lines).toMatch(line)
  }
})

test.each([
  [0, 0],
  [1, 1],
])('%i keys over the limit are counted as %i more', (over, more) => {
  const levels = new AttributeLevels()
  // Two others come with every trace.
  const count = attributeKeysMax - 2 + over
  levels.traces(tracesWith(Array.from({ length: count }, (_, n) => text(`k${n}x`, 'v'))))
  const report = levels.report()
  expect(report.attributes.length + report.more).toBe(attributeKeysMax + over)
  expect(report.more).toBe(more)
})
