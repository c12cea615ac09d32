import { expect, test } from 'vitest'
import { configSchema } from './program-config.ts'

const load = (kafkaSource: object, others: object = {}) =>
  configSchema.parse({ bus: 'kafka://a:9092', kafkaSource, ...others })
const keys = { ['a'.repeat(64)]: 'acme' }

test('a source needs topics alone where the bus is Kafka', () => {
  expect(load({ topics: ['otlp_spans'] }).kafkaSource.startFrom).toBe('earliest')
  expect(load({}, { bus: 'file' }).kafkaSource.topics).toEqual([])
})

test('on the file bus the brokers have to be named', () => {
  const bus = { bus: 'file' }
  expect(() => load({ topics: ['t'] }, bus)).toThrow(/bus is file, so name the brokers/)
  expect(() => load({ topics: ['t'], brokers: 'a:9092' }, bus)).not.toThrow()
})

test('the pipeline’s own topics are no source, nor is a topic twice, nor more than a hundred', () => {
  expect(() => load({ topics: ['winnow.spans.1'] })).toThrow(/winnow\.spans\.1 has the prefix/)
  expect(() => load({ topics: ['t', 't'] })).toThrow(/names a topic twice/)
  const many = (count: number) => ({ topics: Array.from({ length: count }, (_, n) => `t${n}`) })
  expect(() => load(many(100))).not.toThrow()
  expect(() => load(many(101))).toThrow()
})

test('with keys the tenant has to be said, here or in a header', () => {
  expect(() => load({ topics: ['t'] }, { keys })).toThrow(/with keys every span has a tenant/)
  expect(() => load({ topics: ['t'], tenant: 'acme' }, { keys })).not.toThrow()
  expect(() => load({ topics: ['t'], tenantHeader: 'x' }, { keys })).not.toThrow()
})

test('one topic without brackets is told to be a list', () => {
  expect(() => load({ topics: 'otlp_spans' })).toThrow(/use a list, as \[otlp_spans\]/)
})
