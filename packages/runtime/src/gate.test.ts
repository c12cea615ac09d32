import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Gate } from './gate.ts'

test('as many as are let through run at once, the next one waits for a place', async () => {
  const gate = new Gate(2)
  const running: string[] = []
  const leave = new Map<string, () => void>()
  const enter = (name: string): Promise<void> =>
    gate.run(() => {
      running.push(name)
      return new Promise<void>(resolve => leave.set(name, resolve))
    })
  const all = ['a', 'b', 'c', 'd'].map(enter)
  await setImmediate()
  expect(running).toEqual(['a', 'b'])
  leave.get('b')?.()
  // A newcomer between the leaving and the waking must not be a third.
  all.push(enter('e'))
  await setImmediate()
  expect(running).toEqual(['a', 'b', 'c'])
  for (const name of ['a', 'c', 'd', 'e']) {
    leave.get(name)?.()
    await setImmediate()
  }
  expect(running).toEqual(['a', 'b', 'c', 'd', 'e'])
  await Promise.all(all)
})

test('work that fails gives its place back', async () => {
  const gate = new Gate(1)
  await expect(gate.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await gate.run(async () => 'yes')).toBe('yes')
})
