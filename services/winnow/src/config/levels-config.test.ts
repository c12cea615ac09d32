import { levelOverridesMax } from '@winnow/privacy'
import { expect, test } from 'vitest'
import { loadConfig } from '../program-config.ts'

const load = (levels: object) =>
  loadConfig({
    file: 'winnow.yaml',
    env: {},
    options: {},
    readFile: () => JSON.stringify({ levels }),
  }).levels

test('keys are given by level', () => {
  expect(load({ structured: ['acme.order.id'], content: ['acme.notes.*'] })).toEqual({
    structural: [],
    structured: ['acme.order.id'],
    content: ['acme.notes.*'],
  })
})

test('a mistake is named with its key, its value and the remedy', () => {
  expect(() => load({ structured: ['acme id'] })).toThrow(/levels\.structured.*give a key as/)
  expect(() => load({ structural: ['*'] })).toThrow(/levels\.structural.*name a prefix/)
  expect(() => load({ structural: ['a.b'], content: ['a.b'] })).toThrow(
    /levels\.content.*is given twice/,
  )
  expect(() => load({ secret: ['a.b'] })).toThrow(/secret/)
})

test('what has a column of its own in every tier keeps its level', () => {
  for (const key of ['service.name', 'gen_ai.request.model', 'experiment.variant']) {
    expect(() => load({ content: [key] }), key).toThrow(/has a column of its own/)
    expect(load({ structural: [key] }).structural).toEqual([key])
  }
})

test('so many keys may be given, and one more not', () => {
  const keys = Array.from({ length: levelOverridesMax + 1 }, (_, n) => `acme.k${n}`)
  expect(load({ structured: keys.slice(1) }).structured.length).toBe(levelOverridesMax)
  expect(() => load({ structured: keys })).toThrow(/at most 1000 keys/)
})
