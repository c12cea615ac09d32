import process from 'node:process'
import { MemoryBus } from '@winnow/bus'
import { packSlice, spanBlockBytes } from '@winnow/model'
import { ManualClock, silentLog } from '@winnow/runtime'
import type { Bench } from '@winnow/testing'
import { DecisionFold } from './decision-fold.ts'
import { droppedDecision } from './dropped-decision.fixture.ts'

/** Decisions as a sampler writes them: 8 rules asked, 8 spans in two slices. */
export const benches: Bench[] = [
  {
    name: 'fold of decisions, 8 spans a trace',
    unit: 'decisions/s',
    // 125,000 are the decisions of a million spans.
    atLeast: 100_000,
    run: async () => {
      const clock = new ManualClock()
      clock.advanceMs(1_800_000_000_000)
      const specs = [{ name: 'd', partitions: 1, retentionMs: 1e12, keyed: false }]
      const bus = new MemoryBus(specs, clock)
      await bus.append('d', 0, [{ value: Buffer.from('{"v":1,"kind":"claim","by":"bench"}') }])
      for (let at = 0; at < decisions; at += 1000) {
        const values = Array.from({ length: 1000 }, (_, i) => ({ value: decision(at + i) }))
        await bus.append('d', 0, values)
      }
      await folded(bus, clock)
      const began = process.cpuUsage()
      await folded(bus, clock)
      const { user, system } = process.cpuUsage(began)
      return decisions / ((user + system) / 1e6)
    },
  },
]

const decisions = 50_000

async function folded(bus: MemoryBus, clock: ManualClock): Promise<void> {
  const fold = new DecisionFold({ bus, topic: 'd', bytesMax: 1 << 28, clock, log: silentLog })
  await fold.start()
  await fold.stop()
}

function decision(at: number): Uint8Array {
  const rules = ['span-error', 'judge-failed', 'citation-failed', 'low-csat', 'outcome-failed']
  const answers = [...rules, 'slow', 'active-variant', 'ordinary'].map(name => ({
    name,
    matched: name === 'ordinary',
    probability: name === 'ordinary' ? 0.1 : 1,
    value: 0,
    threshold: 1,
  }))
  const spans = Buffer.alloc(4 * spanBlockBytes, at & 255).toString('base64')
  const slice = (start: number) =>
    packSlice({
      ref: { partition: 0, offset: at, start, length: 6800, spanCount: 4 },
      appendedAtMs: 1_800_000_000_000,
      facts: {
        startNs: '1800000000000000000',
        endNs: '1800000002000000000',
        spans,
        roots: [
          {
            spanId: '0102030405060708',
            service: 'refund-bot',
            name: 'refund_chat.turn',
            startNs: '1800000000000000000',
            durationMs: 2608,
          },
        ],
        services: ['refund-bot', 'tools'],
      },
    })
  return droppedDecision({
    traceId: at.toString(16).padStart(32, '0'),
    rules: answers,
    spanCount: 8,
    rootSpanId: '0102030405060708',
    sliceCount: 2,
    seq: at + 1,
    slices: [slice(0), slice(6800)],
  })
}
