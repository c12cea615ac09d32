import { percentile } from '@winnow/testing'
import type { Kill } from './crash-run.ts'

/** One kill as a line for people. */
export function killLine(kill: Kill, number: number, kills: number): string {
  const { name, openTraces, requestsInFlight, readyMs, resumeMs } = kill
  const place = `${String(number).padStart(String(kills).length)} of ${kills}`
  return `kill ${place}  ${name.padEnd(11)} ${String(openTraces).padStart(6)} traces open, ${String(requestsInFlight).padStart(3)} appends in flight; ready after ${seconds(readyMs)}, at work after ${seconds(resumeMs)}`
}

/** What all of them had in common. */
export function totalLine(kills: readonly Kill[]): string {
  const least = (of: (kill: Kill) => number): number => Math.min(...kills.map(of))
  const resumes = kills.map(({ resumeMs }) => resumeMs)
  const [p50 = 0, most = 0] = [percentile(resumes, 50), Math.max(...resumes)]
  return `${kills.length} kills, each with at least ${least(kill => kill.openTraces)} traces open and ${least(kill => kill.requestsInFlight)} appends in flight; at work again after ${seconds(p50)} (median), ${seconds(most)} at most`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
