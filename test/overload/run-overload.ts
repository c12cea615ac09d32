// Ten times what the program can take: what it answers, what it holds, and whether it comes back.
import type { LedgerReport } from '@winnow/query'
import type { Driven } from '../support/load/generator.ts'
import { startGenerator } from '../support/load/generator-process.ts'
import { requestsPerGroup, spansPerTrace, tracesPerGroup } from '../support/load/shape.ts'
import { refusalMistakes } from './run-fairness.ts'
import { imbalance, keyOf, SmallSystem } from './small-system.ts'

export interface OverloadOptions {
  /** How long the load is kept up. */
  readonly seconds: number
  /** Of one core, where the machine allows it. */
  readonly cpuShare: number
  /** Times the sustainable rate. */
  readonly factor: number
  readonly say: (line: string) => void
}

export interface OverloadResult {
  readonly isLimited: boolean
  /** Spans a second, acknowledged, with a client that waits: before and after. */
  readonly sustainable: number
  readonly recovered: number
  readonly wanted: number
  readonly offered: number
  readonly flood: Driven
  /** Spans in all; the ledger may have more: a refused request may have reached the bus in part. */
  readonly acknowledged: number
  readonly ledger: LedgerReport
  readonly rssMiB: readonly number[]
  readonly exitCode: number | null
}

/** Of each calm phase: before the flood and after it. */
const calmSpans = 30_000
const warmUpSpans = 50_000
const floodConnectionsMin = 64
const spansPerRequest = (tracesPerGroup * spansPerTrace) / requestsPerGroup
/** A refusal may come only after `retryDelay`, 1 s, and for so long its connection offers nothing. */
const refusalWaitSeconds = 1
/** Of what was to be offered: the connections that are answered late offer a little less. */
const offeredMin = 0.8

export async function runOverload(options: OverloadOptions): Promise<OverloadResult> {
  const { seconds, factor, say } = options
  const system = await SmallSystem.start(['flood'])
  const { winnow } = system
  const generator = startGenerator()
  try {
    const base = { address: winnow.otlpHttp, key: keyOf('flood') }
    const warm = await generator.drive({ ...base, connections: 8, spans: warmUpSpans })
    const isLimited = system.limit(options.cpuShare)
    const calm = await generator.drive({ ...base, connections: 8, spans: calmSpans })
    const sustainable = calm.spans / calm.seconds
    const rate = factor * sustainable
    say(
      `sustainable: ${Math.round(sustainable)} spans/s; offering ${Math.round(rate)} for ${seconds} s`,
    )
    system.watchMemory()
    const waiting = Math.ceil((1.25 * rate * refusalWaitSeconds) / spansPerRequest)
    const connections = Math.max(floodConnectionsMin, waiting)
    const all = { connections, impatient: true, spans: rate * seconds }
    const flood = await generator.drive({ ...base, ...all, rate, seconds })
    const rssMiB = system.watchedMiB()
    const again = await generator.drive({ ...base, connections: 8, spans: calmSpans })
    system.unlimit()
    say('waiting until everything is decided and written …')
    await system.settled()
    return {
      isLimited,
      sustainable,
      wanted: rate,
      recovered: again.spans / again.seconds,
      offered: (flood.spans + refusedSpans(flood)) / flood.seconds,
      flood,
      acknowledged: warm.spans + calm.spans + flood.spans + again.spans,
      ledger: await system.verify('flood'),
      rssMiB,
      exitCode: await winnow.stop(),
    }
  } finally {
    generator.stop()
    await system.end()
  }
}

/** What the result contradicts; empty where it holds. */
export function violations(result: OverloadResult): string[] {
  const { flood, acknowledged, ledger, rssMiB, sustainable, recovered, exitCode } = result
  const wrong = [...refusalMistakes(flood), ...imbalance('flood', ledger)]
  if (result.offered < result.wanted * offeredMin) {
    wrong.push(
      `only ${Math.round(result.offered)} spans/s were offered, not ${Math.round(result.wanted)}`,
    )
  }
  if (ledger.received < acknowledged) {
    wrong.push(`${acknowledged - ledger.received} acknowledged spans never came`)
  }
  const { first, last } = thirds(rssMiB)
  if (last > first * flatMax) wrong.push(`memory grew from ${first} to ${last} MiB`)
  if (recovered < sustainable / 2) {
    wrong.push(`afterwards ${Math.round(recovered)} spans/s, before ${Math.round(sustainable)}`)
  }
  if (exitCode !== 0) wrong.push(`ended with ${exitCode}`)
  return wrong
}

/** Highest resident memory in the first and the last third of the load. */
export function thirds(rssMiB: readonly number[]): { first: number; last: number } {
  const third = Math.ceil(rssMiB.length / 3)
  return { first: Math.max(...rssMiB.slice(0, third)), last: Math.max(...rssMiB.slice(-third)) }
}

/** Growth of resident memory from the first to the last third that is still called flat. */
const flatMax = 1.25

/** A refused request has the spans of any other. */
function refusedSpans(flood: Driven): number {
  const refused = Object.values(flood.refused).reduce((sum, count) => sum + count, 0)
  return flood.requests === 0 ? 0 : (refused * flood.spans) / flood.requests
}
