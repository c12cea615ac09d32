import { systemClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { turnBytesMax } from './config.ts'
import { TurnPace } from './turn-pace.ts'

test('after turnBytesMax everybody rests for a turn of the event loop, before it nobody does', async () => {
  const pace = new TurnPace(systemClock)
  pace.did(turnBytesMax - 1)
  expect(pace.resting).toBeUndefined()
  pace.did(1)
  const { resting } = pace
  expect(resting).toBeDefined()
  pace.did(turnBytesMax)
  expect(pace.resting).toBe(resting)
  let isTurn = false
  setImmediate(() => {
    isTurn = true
  })
  await resting
  expect(isTurn).toBe(true)
  expect(pace.resting).toBeUndefined()
  pace.did(turnBytesMax - 1)
  expect(pace.resting).toBeUndefined()
})
