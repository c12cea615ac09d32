import { parentPort } from 'node:worker_threads'
import { frameStrideOf, toBlock, writeFrame } from './file-format.ts'
import { Ring } from './ring.ts'
import { TailIndex } from './tail-index.ts'

/** The other thread of `tail-reader.test.ts`: writes a small ring over and over, as fast as it can. */
const ringBytes = 16 * 1024
const ring = new Ring(Buffer.from(new SharedArrayBuffer(ringBytes)), 0, ringBytes)
const ends = new Float64Array(1)
const index = new TailIndex(ends, ends)
const stop = new Int32Array(new SharedArrayBuffer(4))

parentPort?.postMessage({
  tail: { topic: 't', partitions: 1, isLog: true, ...ring.shared, index: index.memory },
  stop,
})

while (Atomics.load(stop, 0) === 0) {
  const first = ends[0] as number
  const records = Array.from({ length: 1 + (first % 3) }, (_, n) => ({
    value: Buffer.alloc(400, (first + n) % 251),
  }))
  const bytes = records.reduce((sum, record) => sum + frameStrideOf(record), 0)
  const place = ring.reserve(toBlock(bytes))
  index.setRingEnd(ring.end)
  let at = ring.indexOf(place)
  records.forEach((record, n) => {
    at = writeFrame(ring.memory, at, record, 0, first + n, 1, n === 0, 0)
  })
  ends[0] = first + records.length
  index.publish([0, first, 0, bytes, place], ends)
  index.settled()
}
parentPort?.postMessage('stopped')
