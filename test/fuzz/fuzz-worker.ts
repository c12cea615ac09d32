import { parentPort, workerData } from 'node:worker_threads'
import { openBoundaries } from './boundary-targets.ts'
import { fuzz } from './fuzz.ts'
import { parserTargets } from './parser-targets.ts'
import type { FuzzWork } from './run-fuzz.ts'

const { inputs, seed, only, place } = workerData as FuzzWork
const boundaries = await openBoundaries()
const targets = [...parserTargets, ...boundaries.targets].filter(
  ({ name }) => only === undefined || name.includes(only),
)
const weights = targets.reduce((sum, { weight }) => sum + weight, 0)
for (const target of targets) {
  const share = Math.ceil((inputs * target.weight) / weights)
  parentPort?.postMessage({ begins: target.name })
  // Where this thread never comes back, the main thread reads from here which input it was.
  const report = await fuzz(target, share, seed, at => Atomics.store(place, 0, at))
  parentPort?.postMessage({ report })
}
await boundaries.close()
