import type { Command, Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { idleBytesMax, pooledBytesMin, pooledSet } from './redis-set.ts'

/** A connection that nothing comes back over, and the memory that each value on its way lies in. */
class SilentConnection {
  readonly memory: number[] = []

  readonly client = {
    sendCommand: ({ toWritable }: Command) => this.#holds(toWritable({} as never) as Buffer),
    set: (_key: string, value: Buffer) => this.#holds(value),
  } as unknown as Pick<Redis, 'sendCommand' | 'set'>

  #holds(bytes: Buffer): Promise<never> {
    // Node's own slab is shared by all that is short.
    const { byteLength } = bytes.buffer
    this.memory.push(byteLength > Buffer.poolSize ? byteLength : bytes.length)
    return new Promise(() => {})
  }
}

/** What `key` and a life of one digit add to a value. */
const aroundOf = (length: number): number =>
  `*5\r\n$3\r\nset\r\n$3\r\nkey\r\n$${length}\r\n\r\n$2\r\nPX\r\n$1\r\n1\r\n`.length

test('a value that waits for its answer takes no more than twice its length', async () => {
  const connection = new SilentConnection()
  const set = await pooledSet(connection.client)
  const lengths = [100, 1_024, 10_000, 20_000, 1 << 20, idleBytesMax + 1]
  for (const length of lengths) void set('key', new Uint8Array(length), 1)
  for (const [at, length] of lengths.entries()) {
    expect(connection.memory[at]).toBeLessThanOrEqual(2 * length)
  }
})

test('memory is used again from the smallest piece to the most that is kept, and not past them', async () => {
  const connection = new SilentConnection()
  const set = await pooledSet(connection.client)
  const least = pooledBytesMin - aroundOf(pooledBytesMin - 100)
  const most = idleBytesMax - aroundOf(idleBytesMax - 100)
  for (const length of [least - 1, least, most, most + 1]) {
    void set('key', new Uint8Array(length), 1)
  }
  expect(connection.memory).toEqual([least - 1, pooledBytesMin, idleBytesMax, most + 1])
})
