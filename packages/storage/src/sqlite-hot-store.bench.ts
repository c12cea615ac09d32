import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cpuRate } from './cpu-rate.ts'
import { sampleTrace } from './samples.ts'
import { SqliteHotStore } from './sqlite-hot-store.ts'

/** 200 traces of 8 spans a put, a body of 14 KB each: what the writer hands over at once. */
async function hotPut(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'hot-bench-'))
  const store = new SqliteHotStore(folder)
  const bytes = new Uint8Array(14_200).fill(66)
  let n = 0
  try {
    return await cpuRate(async () => {
      const traces = Array.from({ length: 200 }, () => {
        const trace = sampleTrace(n++, n, 8)
        return { ...trace, bodies: [{ ref: `3:${n}:0`, bytes }] }
      })
      await store.put(traces)
      return traces.length * 8
    })
  } finally {
    await store.close()
    rmSync(folder, { recursive: true })
  }
}

export const benches = [
  { name: 'hot store put, kept spans durable', unit: 'spans/CPU-s', run: hotPut },
]
