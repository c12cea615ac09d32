import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { MessageChannel } from 'node:worker_threads'
import { systemClock } from '@winnow/runtime'
import type { Bench } from '@winnow/testing'
import { FileBus } from './file-bus.ts'
import { reusedMemory } from './read-memory.ts'
import { RemoteBus } from './remote-bus.ts'
import { serveBus } from './serve-bus.ts'

/** As decisions are: many small records, a few of each partition in a commit. */
const partitions = 12
const valueBytes = 1300
const recordsPerCommit = 20
const commits = 60
const rounds = 20
const topic = 'bench.decisions.1'

export const benches: Bench[] = [
  {
    name: 'RemoteBus read of the tail, commit by commit, both sides',
    unit: 'records a CPU-second',
    atLeast: 700_000,
    run: () => overBus(readAll),
  },
  {
    name: 'RemoteBus fetchRanges of the tail, 1,000 bytes each, both sides',
    unit: 'ranges a CPU-second',
    atLeast: 250_000,
    run: () => overBus(cutAll),
  },
]

/** Returns how many it read. */
type Work = (bus: RemoteBus) => Promise<number>

async function overBus(work: Work): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'winnow-bench-'))
  const spec = { name: topic, partitions, retentionMs: 3_600_000, keyed: false }
  const inner = await FileBus.open({ folder, specs: [spec], clock: systemClock })
  const { port1, port2 } = new MessageChannel()
  const served = serveBus(port1, inner)
  const bus = new RemoteBus(port2)
  try {
    await fill(inner)
    await work(bus)
    const began = process.cpuUsage()
    let count = 0
    for (let round = 0; round < rounds; round++) count += await work(bus)
    const { user, system } = process.cpuUsage(began)
    return count / ((user + system) / 1e6)
  } finally {
    await served.close()
    await inner.close()
    await rm(folder, { recursive: true })
  }
}

async function fill(bus: FileBus): Promise<void> {
  const value = Buffer.alloc(valueBytes, 'x')
  const records = Array.from({ length: recordsPerCommit }, () => ({ value }))
  for (let commit = 0; commit < commits; commit++) {
    const appends: Promise<number>[] = []
    for (let p = 0; p < 8; p++) appends.push(bus.append(topic, p, records))
    await Promise.all(appends)
  }
}

async function readAll(bus: RemoteBus): Promise<number> {
  let count = 0
  for (let p = 0; p < 8; p++) {
    const memory = reusedMemory()
    const { end } = await bus.bounds(topic, p)
    for (let from = 0; from < end; ) {
      const bytesMax = recordsPerCommit * valueBytes
      const { records } = await bus.read(topic, p, from, bytesMax, 0, memory)
      from += records.length
      count += records.length
    }
  }
  return count
}

async function cutAll(bus: RemoteBus): Promise<number> {
  let count = 0
  for (let p = 0; p < 8; p++) {
    for (let from = 0; from + 100 <= commits * recordsPerCommit; from += 100) {
      const ranges = Array.from({ length: 100 }, (_, at) => ({
        offset: from + at,
        start: 100,
        length: 1000,
      }))
      count += (await bus.fetchRanges(topic, p, ranges)).length
    }
  }
  return count
}
