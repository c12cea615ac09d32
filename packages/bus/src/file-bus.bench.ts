import { constants, type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { systemClock } from '@winnow/runtime'
import type { Bench } from '@winnow/testing'
import type { NewRecord } from './bus.ts'
import { FileBus } from './file-bus.ts'

const partitions = 12
const recordBytes = 128 * 1024
/** 1 MiB a commit, as a busy receiver makes it: one record for each of eight partitions. */
const recordsPerCommit = 8
const commitsPerRound = 10
const rounds = 40
const topic = 'bench.spans.1'
const spec = { name: topic, partitions, retentionMs: 3_600_000, keyed: false }

const value = new Uint8Array(recordBytes).map((_, at) => (at * 31) ^ (at >> 7))
const records: readonly NewRecord[] = [{ value }]

export const benches: Bench[] = [
  {
    name: 'FileBus append, durable, 1 MiB commits over 12 partitions',
    unit: '% of write + fdatasync',
    atLeast: 70,
    run: () => inFolder(folder => compareAppends(folder, true)),
  },
  {
    // The second-best way, for file systems that refuse the first; it has no goal of its own.
    name: 'FileBus append, durable, through the page cache',
    unit: '% of write + fdatasync',
    run: () => inFolder(folder => compareAppends(folder, false)),
  },
  {
    name: 'FileBus read of the tail, from memory',
    unit: 'MiB/s',
    run: () => inFolder(folder => readRate(folder, 40, false)),
  },
  {
    name: 'FileBus read behind the tail, from the page cache, checksums verified',
    unit: 'MiB/s',
    run: () => inFolder(folder => readRate(folder, 128, true)),
  },
]

/**
 * Rounds of both take turns, so that whatever else the machine does meets both alike, and the faster
 * quarter of each side is compared: neighbours only ever make a round slower. The plain file is
 * written as a program would that does nothing else.
 */
async function compareAppends(folder: string, isDirect: boolean): Promise<number> {
  const bus = await FileBus.open({ folder, specs: [spec], clock: systemClock, isDirect })
  const plain = await open(join(folder, 'plain'), constants.O_CREAT | constants.O_WRONLY)
  const block = Buffer.concat(Array.from({ length: recordsPerCommit }, () => value))
  const plainRounds: number[] = []
  const busRounds: number[] = []
  try {
    for (let round = 0; round <= rounds; round++) {
      const plainMs = await timed(() => writePlain(plain, block, round))
      const busMs = await timed(() => appendRound(bus, commitsPerRound))
      // The first round opens files, touches the ring and compiles: it is the warm-up.
      if (round === 0) continue
      plainRounds.push(plainMs)
      busRounds.push(busMs)
    }
  } finally {
    await plain.close()
    await bus.close()
  }
  return (100 * fasterQuarter(plainRounds)) / fasterQuarter(busRounds)
}

function fasterQuarter(roundsMs: readonly number[]): number {
  return roundsMs.toSorted((a, b) => a - b)[roundsMs.length >> 2] as number
}

async function writePlain(file: FileHandle, block: Buffer, round: number): Promise<void> {
  for (let commit = 0; commit < commitsPerRound; commit++) {
    const position = (round * commitsPerRound + commit) * block.length
    await file.write(block, 0, block.length, position)
    await file.datasync()
  }
}

/** Two clients, so that there is always a commit in flight and one that waits, as under load. */
async function appendRound(bus: FileBus, commits: number): Promise<void> {
  await Promise.all([appendCommits(bus, commits / 2), appendCommits(bus, commits / 2)])
}

async function appendCommits(bus: FileBus, commits: number): Promise<void> {
  for (let commit = 0; commit < commits; commit++) {
    const appends: Promise<number>[] = []
    for (let at = 0; at < recordsPerCommit; at++) {
      appends.push(bus.append(topic, (commit + at) % partitions, records))
    }
    await Promise.all(appends)
  }
}

async function readRate(folder: string, commits: number, isFromDisk: boolean): Promise<number> {
  const topicLimits = { [topic]: { ringBytes: isFromDisk ? 16 << 20 : 64 << 20 } }
  const bus = await FileBus.open({ folder, specs: [spec], clock: systemClock, topicLimits })
  try {
    await appendRound(bus, commits)
    // Behind the tail: only what the ring no longer has.
    const share = isFromDisk ? 0.75 : 1
    let bytes = 0
    let ms = 0
    for (let round = 0; ms < 1000; round++) {
      const read = { bytes: 0 }
      const roundMs = await timed(async () => {
        read.bytes = await readShare(bus, share)
      })
      if (round === 0) continue
      bytes += read.bytes
      ms += roundMs
    }
    return bytes / (1 << 20) / (ms / 1000)
  } finally {
    await bus.close()
  }
}

async function readShare(bus: FileBus, share: number): Promise<number> {
  let bytes = 0
  for (let p = 0; p < partitions; p++) {
    const { first, end } = await bus.bounds(topic, p)
    for (let from = first; from < first + Math.floor((end - first) * share); ) {
      const batch = await bus.read(topic, p, from, 1 << 20, 0)
      for (const record of batch.records) bytes += record.value.length
      from += batch.records.length
    }
  }
  return bytes
}

async function timed(run: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await run()
  return performance.now() - start
}

async function inFolder(run: (folder: string) => Promise<number>): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'winnow-bench-'))
  try {
    return await run(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}
