import { type MessagePort, parentPort } from 'node:worker_threads'
import { RemoteBus } from './remote-bus.ts'

/** What the worker of `shared-bus.test.ts` saw. */
export interface TailReport {
  readonly problems: readonly string[]
  readonly ends: readonly number[]
  /** Stretches that were read out of older records. */
  readonly cut: number
}

/** A value that says what it is in every byte; of no filling for the last of a partition. */
export function checkedValue(partition: number, offset: number, filling: number): Buffer {
  const head = Buffer.from(`${partition}/${offset}:`)
  return Buffer.concat([head, Buffer.alloc(filling, fillingOf(partition, offset))])
}

function fillingOf(partition: number, offset: number): number {
  return 128 + ((partition * 41 + offset * 7) % 128)
}

function problemOf(partition: number, offset: number, value: Uint8Array): string | undefined {
  const head = `${partition}/${offset}:`
  if (Buffer.from(value.subarray(0, head.length)).toString() !== head) return `${head} has no head`
  const byte = fillingOf(partition, offset)
  const isWhole = value.subarray(head.length).every(found => found === byte)
  return isWhole ? undefined : `${head} has other bytes`
}

/** Follows three partitions to their ends, and looks back at older records as it goes. */
async function follow(port: MessagePort): Promise<void> {
  const bus = new RemoteBus(port)
  const problems: string[] = []
  const ends: number[] = [0, 0, 0]
  let cut = 0
  const one = async (partition: number): Promise<void> => {
    for (let isLast = false; !isLast; ) {
      const next = ends[partition] as number
      const { records, gap } = await bus.read('t', partition, next, 20_000, 600_000)
      if (gap !== undefined) problems.push(`${partition}/${next} has a gap`)
      for (const { offset, value } of records) {
        if (offset !== ends[partition]) problems.push(`${partition}/${offset} is out of turn`)
        const problem = problemOf(partition, offset, value)
        if (problem !== undefined) problems.push(problem)
        isLast = value.length === `${partition}/${offset}:`.length
        ends[partition] = offset + 1
      }
      const offset = Math.max(0, next - 40)
      const old = await bus.fetch('t', partition, offset)
      const problem = problemOf(partition, offset, old.value)
      if (problem !== undefined) problems.push(problem)
      const length = `${partition}/${offset}:`.length
      const [range] = await bus.fetchRanges('t', partition, [{ offset, start: 0, length }])
      const isCut = range instanceof Uint8Array
      if (!isCut || Buffer.from(range).toString() !== `${partition}/${offset}:`) {
        problems.push(`${partition}/${offset} is cut badly`)
      }
      cut++
    }
  }
  await Promise.all([one(0), one(1), one(2)])
  parentPort?.postMessage({ problems, ends, cut } satisfies TailReport)
}

parentPort?.once('message', ({ port }: { port: MessagePort }) => void follow(port))
