import { expect, test } from 'vitest'
import { dayOf, hourOf } from '../hot-period.ts'
import { sampleTimeMs } from '../samples.ts'
import { indexKinds, indexName, indexPattern, parseIndexName } from './index-names.ts'
import { mappingsOf, templates } from './templates.ts'

/**
 * Fields and types of Data Prepper's `otel-v1-apm-span-index-standard-template.json`, version 1, as
 * opensearch-project/data-prepper publishes it under data-prepper-plugins/opensearch.
 */
const published: Readonly<Record<string, string>> = {
  droppedAttributesCount: 'integer',
  'instrumentationScope.droppedAttributesCount': 'integer',
  'instrumentationScope.schemaUrl': 'keyword',
  'instrumentationScope.name': 'keyword',
  'instrumentationScope.version': 'keyword',
  'resource.droppedAttributesCount': 'integer',
  'resource.schemaUrl': 'keyword',
  traceId: 'keyword',
  spanId: 'keyword',
  parentSpanId: 'keyword',
  name: 'keyword',
  traceState: 'keyword',
  traceGroup: 'keyword',
  'traceGroupFields.endTime': 'date_nanos',
  'traceGroupFields.durationInNanos': 'long',
  'traceGroupFields.statusCode': 'integer',
  kind: 'keyword',
  serviceName: 'keyword',
  startTime: 'date_nanos',
  endTime: 'date_nanos',
  '@timestamp': 'date_nanos',
  time: 'date_nanos',
  'status.code': 'integer',
  'status.message': 'keyword',
  durationInNanos: 'long',
  events: 'nested',
  'events.name': 'keyword',
  'events.attributes': 'object',
  'events.droppedAttributesCount': 'integer',
  'events.time': 'date_nanos',
  droppedEventsCount: 'integer',
  links: 'nested',
  'links.traceId': 'keyword',
  'links.spanId': 'keyword',
  'links.traceState': 'keyword',
  'links.attributes': 'object',
  'links.droppedAttributesCount': 'integer',
  droppedLinksCount: 'integer',
}

interface Field {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Field>>
}

function typesOf({ properties = {} }: Field, path = ''): [string, string | undefined][] {
  return Object.entries(properties).flatMap(([name, field]) => [
    [`${path}${name}`, field.type] as [string, string | undefined],
    ...typesOf(field, `${path}${name}.`),
  ])
}

test('the fields of spans have the names and types of Data Prepper’s published template', () => {
  const ours = Object.fromEntries(typesOf(mappingsOf('spans') as Field))
  expect(ours).toMatchObject(published)
  // There every attribute becomes a field of its own, up to as many as an index may have.
  expect(ours).toMatchObject({ attributes: 'flat_object', 'resource.attributes': 'flat_object' })
})

test('every kind of index has a template, which names the component put before it', () => {
  const [component, ...rest] = templates('p', { shards: 3, replicas: 2 })
  expect(component).toMatchObject({
    path: '_component_template/p-hot',
    body: {
      template: {
        settings: {
          index: {
            number_of_shards: 3,
            number_of_replicas: 2,
            codec: 'best_compression',
            mapping: { ignore_malformed: true },
          },
        },
      },
    },
  })
  expect(rest.map(({ path }) => path)).toEqual(indexKinds.map(kind => `_index_template/p-${kind}`))
  for (const { body } of rest) expect(body).toMatchObject({ composed_of: ['p-hot'], version: 1 })
})

test('an index’s name says its prefix, kind and period, and nothing else is taken for one', () => {
  const [day, hour] = [dayOf(sampleTimeMs), hourOf(sampleTimeMs)]
  expect(indexName('w', 'spans', day)).toBe('w-spans-2026-11-21')
  expect(indexName('w', 'text', hour)).toBe('w-text-2026-11-21t07')
  expect(parseIndexName('w', 'w-spans-2026-11-21')).toEqual(day)
  expect(parseIndexName('w', 'w-text-2026-11-21t07')).toEqual(hour)
  const foreign = [
    'w-traces-traces-2026-11-21',
    'w-notes-2026-11-21',
    'w-spans-2026-13-41',
    'w-spans-2026-11-21t07',
    'w-text-2026-11-21',
    'w2-spans-2026-11-21',
    'w-spans',
    'w',
  ]
  for (const name of foreign) expect(parseIndexName('w', name), name).toBeUndefined()
  expect(indexPattern('w', 'traces')).toBe('w-traces-2*')
})
