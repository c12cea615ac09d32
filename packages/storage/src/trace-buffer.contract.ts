import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import type { TraceBuffer } from './trace-buffer.ts'

/**
 * Every adapter of the trace buffer, with room and time enough, passes exactly these tests. Its buffers may
 * have one server: each test has a log of its own.
 */
export function traceBufferContract(name: string, makeBuffer: () => Promise<TraceBuffer>): void {
  const bytes = (content: string): Uint8Array => new TextEncoder().encode(content)
  const text = (read: Uint8Array | undefined): string | undefined =>
    read && new TextDecoder().decode(read)
  const ranges = async (
    buffer: TraceBuffer,
    wanted: readonly (readonly [offset: number, start: number, length: number])[],
    { logId, partition = 3 }: { readonly logId: string; readonly partition?: number },
  ): Promise<(string | undefined)[]> => {
    const asked = wanted.map(([offset, start, length]) => ({ partition, offset, start, length }))
    return (await buffer.readRanges(logId, asked)).map(text)
  }

  test(`${name}: ranges of many records come in the order asked, misses among them`, async () => {
    const logId = randomUUID()
    const buffer = await makeBuffer()
    await buffer.putRecords(logId, 3, [
      { offset: 7, value: bytes('seven') },
      { offset: 9, value: bytes('nine') },
    ])
    await buffer.putRecords(logId, 3, [{ offset: 8, value: bytes('eight') }])
    expect(
      await ranges(
        buffer,
        [
          [9, 0, 4],
          [7, 1, 3],
          [6, 0, 1],
          [8, 4, 1],
          [7, 0, 5],
        ],
        { logId },
      ),
    ).toEqual(['nine', 'eve', undefined, 't', 'seven'])
    expect(await buffer.readRanges(logId, [])).toEqual([])
  })

  test(`${name}: a range that its record does not have whole is a miss`, async () => {
    const logId = randomUUID()
    const buffer = await makeBuffer()
    await buffer.putRecords(logId, 3, [
      { offset: 0, value: bytes('0123') },
      { offset: 1, value: new Uint8Array() },
    ])
    expect(
      await ranges(
        buffer,
        [
          [0, 3, 1],
          [0, 3, 2],
          [0, 4, 1],
          [0, 99, 1],
          [0, 1, 0],
          [1, 0, 1],
        ],
        { logId },
      ),
    ).toEqual(['3', undefined, undefined, undefined, undefined, undefined])
  })

  test(`${name}: other logs and other partitions are other records and other checkpoints`, async () => {
    const logId = randomUUID()
    const buffer = await makeBuffer()
    await buffer.putRecords(logId, 3, [{ offset: 0, value: bytes('mine') }])
    await buffer.putCheckpoint(logId, 3, { offset: 5, bytes: bytes('mine') })
    for (const [other, partition] of [
      [`${logId}-other`, 3],
      [logId, 4],
      [`${logId}/3`, 0],
      [`${logId}:3`, 0],
      [`{${logId}}`, 3],
    ] as const) {
      const elsewhere = { logId: other, partition }
      expect(await ranges(buffer, [[0, 0, 4]], elsewhere)).toEqual([undefined])
      expect(await buffer.readCheckpoint(other, partition)).toBeUndefined()
    }
    expect(await ranges(buffer, [[0, 0, 4]], { logId })).toEqual(['mine'])
  })

  test(`${name}: neither side keeps the other's memory`, async () => {
    const logId = randomUUID()
    const buffer = await makeBuffer()
    const mine = Buffer.from('mine')
    await buffer.putRecords(logId, 3, [{ offset: 0, value: mine }])
    await buffer.putCheckpoint(logId, 3, { offset: 1, bytes: mine })
    mine.fill(0)
    const [read] = await buffer.readRanges(logId, [
      { partition: 3, offset: 0, start: 0, length: 4 },
    ])
    read?.fill(0)
    ;(await buffer.readCheckpoint(logId, 3))?.bytes.fill(0)
    expect(await ranges(buffer, [[0, 0, 4]], { logId })).toEqual(['mine'])
    expect(text((await buffer.readCheckpoint(logId, 3))?.bytes)).toBe('mine')
  })

  test(`${name}: a record put again by a second owner is there still`, async () => {
    const logId = randomUUID()
    const buffer = await makeBuffer()
    for (let owner = 0; owner < 2; owner++) {
      await buffer.putRecords(logId, 3, [{ offset: 0, value: bytes('same') }])
    }
    expect(await ranges(buffer, [[0, 0, 4]], { logId })).toEqual(['same'])
  })

  test(`${name}: the last checkpoint is read back whole, also where its offset is smaller`, async () => {
    const logId = randomUUID()
    const buffer = await makeBuffer()
    expect(await buffer.readCheckpoint(logId, 3)).toBeUndefined()
    for (const offset of [10, 2 ** 40, 7]) {
      await buffer.putCheckpoint(logId, 3, { offset, bytes: bytes(`at ${offset}`) })
      const read = await buffer.readCheckpoint(logId, 3)
      expect({ offset: read?.offset, text: text(read?.bytes) }).toEqual({
        offset,
        text: `at ${offset}`,
      })
    }
  })

  test(`${name}: a closed buffer misses and refuses nothing`, async () => {
    const logId = randomUUID()
    const buffer = await makeBuffer()
    await buffer.putRecords(logId, 3, [{ offset: 0, value: bytes('gone') }])
    await buffer.close()
    await buffer.close()
    await buffer.putRecords(logId, 3, [{ offset: 1, value: bytes('late') }])
    await buffer.putCheckpoint(logId, 3, { offset: 2, bytes: bytes('late') })
    expect(
      await ranges(
        buffer,
        [
          [0, 0, 4],
          [1, 0, 4],
        ],
        { logId },
      ),
    ).toEqual([undefined, undefined])
    expect(await buffer.readCheckpoint(logId, 3)).toBeUndefined()
  })
}
