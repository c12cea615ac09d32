import { expect, test } from 'vitest'
import { countDataPoints, countDataPointsInJson } from './metrics.ts'
import { WireWriter } from './wire-writer.ts'

/** Tags of a metric's five kinds of data, by metrics.proto. */
const kinds = { gauge: 42, sum: 58, histogram: 74, exponentialHistogram: 82, summary: 90 }

test('data points of every kind are counted, in every metric, scope and resource', () => {
  const writer = new WireWriter()
  for (const points of [1, 2]) {
    const resource = writer.begin(10)
    writer.bytes(10, Uint8Array.of(16, 1))
    for (const scopes of [1, 2]) {
      const scope = writer.begin(18)
      for (const tag of Object.values(kinds)) {
        const metric = writer.begin(18)
        writer.string(10, 'gen_ai.client.token.usage')
        const data = writer.begin(tag)
        for (let i = 0; i < points * scopes; i++) writer.bytes(10, Uint8Array.of(1))
        writer.uint32(16, 2)
        writer.end(data)
        writer.end(metric)
      }
      writer.end(scope)
    }
    writer.end(resource)
  }
  expect(countDataPoints(writer.finish())).toBe(5 * (1 + 2 + 2 + 4))
  expect(countDataPoints(new Uint8Array())).toBe(0)
})

test('the same in JSON, what is of another shape holding none', () => {
  const metrics = Object.keys(kinds).map(kind => ({ name: 'm', [kind]: { dataPoints: [{}, {}] } }))
  const value = {
    resourceMetrics: [{ scopeMetrics: [{ metrics }, {}] }, null, 7, { scopeMetrics: {} }],
  }
  expect(countDataPointsInJson(JSON.stringify(value))).toBe(10)
  expect(countDataPointsInJson(value)).toBe(10)
  expect(countDataPointsInJson('{}')).toBe(0)
  expect(countDataPointsInJson('[]')).toBe(0)
})
