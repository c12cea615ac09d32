// What the log says once the program has ended: exact, and nobody was asked while it was measured.
import { join } from 'node:path'
import { type BusRecord, FileBus, topicSpecs } from '@winnow/bus'
import { parseDecision } from '@winnow/model'
import { systemClock } from '@winnow/runtime'

export const topicsRead = ['spans', 'evidence', 'decisions'] as const
type Topic = (typeof topicsRead)[number]

/** When the last span of a trace was appended, and how long after it its first decision was. */
export interface Decided {
  readonly traceId: string
  readonly lastSpanAtMs: number
  readonly delayMs: number
}

export interface LogFindings {
  /** Of the largest record, by topic. */
  readonly largestBytes: Readonly<Record<Topic, number>>
  readonly decided: readonly Decided[]
}

export async function readLog(data: string): Promise<LogFindings> {
  const specs = topicSpecs({ prefix: 'winnow', generation: 1, partitions: 12 })
  const bus = await FileBus.open({
    folder: join(data, 'bus'),
    specs: Object.values(specs),
    clock: systemClock,
  })
  const largestBytes = { spans: 0, evidence: 0, decisions: 0 }
  const decided: Decided[] = []
  for (const topic of topicsRead) {
    const { name, partitions } = specs[topic]
    for (let partition = 0; partition < partitions; partition++) {
      const { first, end } = await bus.bounds(name, partition)
      for (let next = first; next < end; ) {
        const { records } = await bus.read(name, partition, next, 8 << 20, 0)
        for (const record of records) {
          largestBytes[topic] = Math.max(largestBytes[topic], record.value.length)
          if (topic === 'decisions') decided.push(...firstDecision(record))
        }
        next = (records.at(-1)?.offset ?? end) + 1
      }
    }
  }
  await bus.close()
  return { largestBytes, decided }
}

function firstDecision({ value, appendedAtMs }: BusRecord): Decided[] {
  const parsed = parseDecision(Buffer.from(value).toString())
  if (parsed.kind !== 'record' || parsed.record.kind !== 'decision') return []
  const { traceId, revision, lastSpanAtMs } = parsed.record
  if (revision > 1 || lastSpanAtMs === null) return []
  return [{ traceId, lastSpanAtMs, delayMs: appendedAtMs - lastSpanAtMs }]
}
