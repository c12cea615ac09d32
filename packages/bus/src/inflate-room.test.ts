import { expect, test } from 'vitest'
import { InflateRoom } from './inflate-room.ts'

const pause = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 5))
const bytesOf = (bytes: number): number => bytes

test('below the limit a batch is inflated, at the limit the next one waits until something is released', async () => {
  const room = new InflateRoom(100)
  const [a, b, c] = [{}, {}, {}]
  await room.inflate(a, async () => 99, bytesOf)
  await room.inflate(b, async () => 1, bytesOf)
  let isInflated = false
  const third = room.inflate(
    c,
    async () => {
      isInflated = true
      return 500
    },
    bytesOf,
  )
  await pause()
  expect([isInflated, room.bytes]).toEqual([false, 100])
  room.release(b)
  await third
  expect(room.bytes).toBe(599)
  room.release(a)
  room.release(c)
  room.release(c)
  expect(room.bytes).toBe(0)
})

test('batches are inflated one at a time, and one that fails holds nothing up', async () => {
  const room = new InflateRoom(100)
  let underWay = 0
  const work = async (): Promise<number> => {
    underWay++
    expect(underWay).toBe(1)
    await pause()
    underWay--
    return 1
  }
  const broken = room.inflate({}, () => Promise.reject(new Error('no')), bytesOf)
  const others = [1, 2, 3].map(() => room.inflate({}, work, bytesOf))
  await expect(broken).rejects.toThrow('no')
  await Promise.all(others)
  expect(room.bytes).toBe(3)
})

test('who has lost its partition waits no longer', async () => {
  const room = new InflateRoom(1)
  await room.inflate({}, async () => 1, bytesOf)
  const lost = new AbortController()
  const waiting = room.inflate({}, async () => 1, bytesOf, lost.signal)
  await pause()
  lost.abort()
  await waiting
})
