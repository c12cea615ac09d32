import { Metrics, systemClock } from '@winnow/runtime'
import { RedisTraceBuffer, type RedisTraceBufferOptions } from '@winnow/storage'
import { onTestFinished } from 'vitest'

/** A buffer, what it counted, and every line that it logged. */
export interface OpenedBuffer {
  readonly buffer: RedisTraceBuffer
  readonly metrics: Metrics
  readonly lines: readonly { readonly kind: string; readonly [field: string]: unknown }[]
}

/** With room and time enough, unless `changes` says otherwise; closed with its test. */
export async function openBuffer(
  address: string,
  changes: Partial<RedisTraceBufferOptions> = {},
): Promise<OpenedBuffer> {
  const metrics = new Metrics()
  const lines: { kind: string }[] = []
  const note = (kind: string, fields: object = {}): void => {
    lines.push({ kind, ...fields })
  }
  const buffer = await RedisTraceBuffer.open({
    address,
    recordLifeMs: 120_000,
    bytesMax: 1 << 28,
    // Of a loaded machine: a test that is about time has its own.
    answerWaitMs: 20_000,
    stage: 'test',
    clock: systemClock,
    log: { info: note, warn: note, error: (kind, _error, fields) => note(kind, fields) },
    metrics,
    ...changes,
  })
  onTestFinished(() => buffer.close())
  return { buffer, metrics, lines }
}

/** Puts records of so many bytes each, the first at `offset`. */
export function put(
  { buffer }: OpenedBuffer,
  offset: number,
  ...bytes: readonly number[]
): Promise<void> {
  const records = bytes.map((length, n) => ({
    offset: offset + n,
    value: new Uint8Array(length).fill(offset + n),
  }))
  return buffer.putRecords('log', 0, records)
}

/** Which of the offsets can be read. */
export async function held(
  { buffer }: OpenedBuffer,
  ...offsets: readonly number[]
): Promise<boolean[]> {
  const ranges = offsets.map(offset => ({ partition: 0, offset, start: 0, length: 1 }))
  return (await buffer.readRanges('log', ranges)).map(bytes => bytes !== undefined)
}

/** Sum of a counter or gauge over the labels that are left out. */
export async function counted(
  { metrics }: OpenedBuffer,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const metric = await metrics.registry.getSingleMetric(`winnow_trace_buffer_${name}`)?.get()
  if (metric === undefined) throw new Error(`there is no metric ${name}`)
  return metric.values
    .filter(one => Object.entries(labels).every(([key, value]) => one.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0)
}
