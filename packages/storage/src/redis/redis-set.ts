// Hot on Redis: every record of `spans` passes here; one copy of its bytes.
import { MemoryPool, pieceBytesMin } from '@winnow/runtime'
import type { Redis } from 'ioredis'
import { loadIoredis } from './load-ioredis.ts'

/** `SET key value PX lifeMs`. The value's bytes are the caller's again as soon as it returns. */
export type SetValue = (key: string, value: Uint8Array, lifeMs: number) => Promise<unknown>

/** Of one buffer: as much as it may have on the way. The longest command that memory is used again for. */
export const idleBytesMax = 32 * 1024 * 1024

/** The shortest: of less a piece of the pool would be many times as long. */
export const pooledBytesMin = pieceBytesMin

/**
 * Sets values over one connection. ioredis composes each command in memory of its own; here that memory
 * is used again, once the server has answered and so has all of it. What has failed may still be on its
 * way out: its memory is left to the collector.
 */
export async function pooledSet(client: Pick<Redis, 'sendCommand' | 'set'>): Promise<SetValue> {
  const { Command } = await loadIoredis()
  const pool = new MemoryPool(idleBytesMax)
  return async (key, value, lifeMs) => {
    const life = `${lifeMs}`
    const head = `*5\r\n$3\r\nset\r\n$${Buffer.byteLength(key)}\r\n${key}\r\n$${value.length}\r\n`
    const tail = `\r\n$2\r\nPX\r\n$${life.length}\r\n${life}\r\n`
    const length = Buffer.byteLength(head) + value.length + tail.length
    if (length < pooledBytesMin || length > idleBytesMax) {
      return client.set(key, Buffer.from(value), 'PX', lifeMs)
    }
    const memory = pool.take(length)
    const { bytes } = memory
    let end = bytes.write(head)
    bytes.set(value, end)
    end += value.length
    end += bytes.write(tail, end, 'latin1')
    // The arguments are those that ioredis looks at: which key, and whether it is a set.
    const command = new Command('set', [key, '', 'PX', life], { replyEncoding: 'utf8' })
    command.toWritable = () => bytes.subarray(0, end)
    const answer = await client.sendCommand(command)
    memory.release()
    return answer
  }
}
