import { parseJsonText } from './json-text.ts'
import { WireReader } from './wire.ts'

/** In Metric: gauge, sum, histogram, exponential histogram, summary. Each holds its points in field 1. */
const metricKinds = new Set([42, 58, 74, 82, 90])

/**
 * How many data points a `MetricsData` or `ExportMetricsServiceRequest` carries: what the receiver
 * reports as rejected, for Winnow keeps no metrics. Throws as `decodeTraces` does.
 */
export function countDataPoints(bytes: Uint8Array): number {
  const reader = new WireReader(bytes, 'MetricsData')
  let count = 0
  while (reader.more()) {
    if (reader.tag() === 10) count += countIn(reader, 'ResourceMetrics', isSecond, inScope)
    else reader.skip()
  }
  return count
}

const isSecond = (tag: number): boolean => tag === 18
const isFirst = (tag: number): boolean => tag === 10

const inScope = (reader: WireReader): number => countIn(reader, 'ScopeMetrics', isSecond, inMetric)

const inMetric = (reader: WireReader): number =>
  countIn(reader, 'Metric', tag => metricKinds.has(tag), inPoints)

const inPoints = (reader: WireReader): number =>
  countIn(reader, 'Metric.data', isFirst, point => {
    point.skip()
    return 1
  })

function countIn(
  reader: WireReader,
  name: string,
  wanted: (tag: number) => boolean,
  count: (reader: WireReader) => number,
): number {
  const outer = reader.enter(name)
  let sum = 0
  while (reader.more()) {
    if (wanted(reader.tag())) sum += count(reader)
    else reader.skip()
  }
  reader.leave(outer)
  return sum
}

/** The same of OTLP/JSON. What is not in OTLP's shape holds no points. Throws as `tracesFromJson`. */
export function countDataPointsInJson(value: string | Uint8Array | object): number {
  let count = 0
  for (const resource of listIn(parseJsonText(value), 'resourceMetrics')) {
    for (const scope of listIn(resource, 'scopeMetrics')) {
      for (const metric of listIn(scope, 'metrics')) {
        for (const kind of jsonMetricKinds)
          count += listIn(fieldIn(metric, kind), 'dataPoints').length
      }
    }
  }
  return count
}

const jsonMetricKinds = ['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary']

function fieldIn(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined
}

function listIn(value: unknown, key: string): readonly unknown[] {
  const list = fieldIn(value, key)
  return Array.isArray(list) ? list : []
}
