import { profileText } from './profile.ts'
import type { BufferUse, RunResult } from './run.ts'

/** The run as text for people. CPU is in CPU-seconds per million spans. */
export function reportOf(run: RunResult): string {
  const parts = Object.entries(run.cpuPerMillionByPart)
  const servers = Object.entries(run.serverCpuPerMillion)
  const refused = Object.entries(run.refused).map(([status, count]) => `${count} × ${status}`)
  const rules = Object.entries(run.decisionsByRule).filter(([, count]) => count > 0)
  const lines = [
    [
      'acknowledged',
      `${whole(run.spansPerSecond)} spans/s (${whole(run.spans)} spans, ${run.requests} requests, ${whole(run.bytes / run.spans)} B a span, ${run.seconds.toFixed(1)} s)`,
    ],
    ['refused', refused.length === 0 ? 'none' : refused.join(', ')],
    ['CPU', `${run.cpuPerMillion.toFixed(1)} CPU-s per million spans, until all was written`],
    ...parts.map(([name, seconds]) => ['', `${seconds.toFixed(2).padStart(6)}  ${name}`]),
    ['', `${run.generatorCpuPerMillion.toFixed(2).padStart(6)}  (the generator)`],
    ...servers.map(([name, seconds]) => ['', `${seconds.toFixed(2).padStart(6)}  (${name})`]),
    [
      'event loop',
      `${ms(run.loopP50Ms)} p50, ${ms(run.loopP99Ms)} p99, ${ms(run.loopMaxMs)} max on main, 10 ms of its timer included`,
    ],
    ['acknowledgement', `${ms(run.ackP50Ms)} p50, ${ms(run.ackP99Ms)} p99`],
    [
      'decision delay',
      `${run.decisionDelayP50S.toFixed(2)} s p50, ${run.decisionDelayP99S.toFixed(2)} s p99`,
    ],
    ['memory', `${run.rssMiB} MiB at the end, ${run.rssPeakMiB} MiB at most`],
    [
      'decided',
      `${run.decided} of ${run.traces} traces, ${run.kept} kept (${((100 * run.kept) / run.decided).toFixed(1)} %); all written ${run.drainSeconds.toFixed(1)} s after the load; ended with ${run.exitCode}`,
    ],
    ...bufferLines(run.buffer),
    ['', rules.map(([rule, count]) => `${rule} ${count}`).join(', ')],
    ...(run.verify === undefined ? [] : [['verify', JSON.stringify(run.verify).slice(0, 300)]]),
  ]
  const text = lines.map(([name = '', value = '']) => `${name.padEnd(16)} ${value}`)
  const cost = run.cost === undefined ? [] : ['', run.cost]
  return [...text, ...cost, ...run.profiles.map(profileText)].join('\n')
}

function bufferLines(buffer: BufferUse | undefined): [string, string][] {
  if (buffer === undefined) return []
  const { hitShare, bytes, openTraces } = buffer
  return [
    [
      'trace buffer',
      `had ${(100 * hitShare).toFixed(1)} % of the slices asked for; ${Math.round(bytes / 2 ** 20)} MiB with ${openTraces} traces open, ${whole(bytes / openTraces)} B each`,
    ],
  ]
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`
}
