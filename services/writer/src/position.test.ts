import { readFileSync } from 'node:fs'
import type { Lease, Position } from '@winnow/bus'
import { countingStart } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { commitPosition, noteOf, stateOf } from './position.ts'

test('a state survives its note, which is its golden file', () => {
  const golden = readFileSync(new URL('golden/position-note.v1.jsonl', import.meta.url), 'utf8')
  expect(noteOf({ claim: 7, next: 3 })).toBe(golden.trimEnd())
  expect(stateOf(golden)).toEqual({ claim: 7, next: 3 })
  expect(stateOf(noteOf(countingStart))).toEqual(countingStart)
})

test('no note says that nothing is known', () => {
  expect(stateOf(undefined)).toEqual(countingStart)
  expect(stateOf('')).toEqual(countingStart)
})

test('a newer note is refused by name, and so is one that is none of ours', () => {
  expect(() => stateOf('{"v":2,"claim":7,"next":3}')).toThrow(
    /DATA_CORRUPT.*note has format v 2, this release reads up to 1: upgrade the writer/,
  )
  for (const note of ['no json', 'null', '7', '{"v":1}', '{"v":1,"claim":"7","next":1}']) {
    expect(() => stateOf(note), note).toThrow(/DATA_CORRUPT.*no state of a writer/)
  }
})

test('a commit that is refused or not answered is no error; any other failure is', async () => {
  const leaseThat = (commit: (position: Position) => Promise<void>): Lease => ({
    partition: 0,
    committed: undefined,
    lost: new AbortController().signal,
    read: async () => ({ records: [] }),
    commit,
  })
  const state = { claim: 0, next: 2 }
  for (const code of ['STALE_OWNER', 'BUS_UNAVAILABLE'] as const) {
    const refusing = leaseThat(() => Promise.reject(new PipelineError(code, 'no')))
    await commitPosition(refusing, 5, state)
  }
  const broken = leaseThat(() => Promise.reject(new PipelineError('PAYLOAD_TOO_LARGE', 'no')))
  await expect(commitPosition(broken, 5, state)).rejects.toThrow(/PAYLOAD_TOO_LARGE/)
  const taken: Position[] = []
  await commitPosition(
    leaseThat(async position => {
      taken.push(position)
    }),
    5,
    state,
  )
  expect(taken).toEqual([{ offset: 5, note: noteOf(state) }])
})
