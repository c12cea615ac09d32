import type { CostDay } from '@winnow/cost'
import { expect, test } from 'vitest'
import {
  cumulated,
  daysOf,
  forecastStack,
  kindOf,
  layerAt,
  otherRules,
  ruleStack,
  rulesShownMax,
  tierStack,
  totalAt,
  totalOfLayer,
} from './series.ts'

const nothing = { decisions: 0, traces: 0, kept: 0, matched: 0, bytes: 0 }
const window = { since: '2026-11-19T12:00:00.000Z', until: '2026-11-22T00:00:00.000Z' }

const day = (name: string, rules: Readonly<Record<string, number>>): CostDay => ({
  day: name,
  all: nothing,
  rules: Object.entries(rules).map(([rule, bytes]) => ({ name: rule, ...nothing, bytes })),
  tiers: { hot: 5, warm: 3, cold: 0, ledger: 1, index: 0 },
})

test('a store without decisions in these days is idle, and only one that has nothing is empty', () => {
  const decided = { ...day('2026-11-19', {}), all: { ...nothing, decisions: 1 } }
  expect(kindOf({ measuredDays: 0, days: [] })).toBe('nothing')
  expect(kindOf({ measuredDays: 7, days: [] })).toBe('idle')
  expect(kindOf({ measuredDays: 7, days: [day('2026-11-19', {})] })).toBe('idle')
  expect(kindOf({ measuredDays: 0.1, days: [decided] })).toBe('report')
})

test('a day on which nothing was decided has its place, and one that has not begun has none', () => {
  expect(daysOf(window)).toEqual(['2026-11-19', '2026-11-20', '2026-11-21'])
  const { labels, layers } = tierStack([day('2026-11-19', {}), day('2026-11-21', {})], window)
  expect(labels.length).toBe(3)
  expect(layers).toEqual([
    { name: 'hot', values: [5, 0, 5] },
    { name: 'warm', values: [3, 0, 3] },
    { name: 'ledger', values: [1, 0, 1] },
  ])
})

test('rulesShownMax rules have a layer each, one more is added up with the smallest, and nothing is lost', () => {
  const rulesOf = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`rule-${at}`, 100 - at]))
  const names = (count: number) =>
    ruleStack([day('2026-11-20', rulesOf(count))], window).layers.map(({ name }) => name)
  expect(names(rulesShownMax)).not.toContain(otherRules)
  expect(names(rulesShownMax + 1).slice(-2)).toEqual([`rule-${rulesShownMax - 1}`, otherRules])
  const stack = ruleStack([day('2026-11-20', rulesOf(12))], window)
  const all = Object.values(rulesOf(12)).reduce((sum, bytes) => sum + bytes, 0)
  expect(stack.layers.reduce((sum, layer) => sum + totalOfLayer(layer), 0)).toBe(all)
  expect([0, 1, 2].map(at => totalAt(stack, at))).toEqual([0, all, 0])
})

test('each layer is drawn over the ones above it, and a height says whose it is', () => {
  const stack = tierStack([day('2026-11-20', {})], window)
  expect(cumulated(stack)).toEqual([
    [0, 5, 0],
    [0, 8, 0],
    [0, 9, 0],
  ])
  const at = (height: number) => layerAt(stack, 1, height)?.name
  expect([0, 5, 5.1, 8.5, 9, 9.1, -1].map(at)).toEqual([
    'hot',
    'hot',
    'warm',
    'ledger',
    'ledger',
    undefined,
    undefined,
  ])
})

test('a forecast has what is fixed as well, and leaves out what costs nothing', () => {
  const forecast = [
    { day: 1, dollars: 11, tiers: { hot: 1, cold: 0, fixed: 10 } },
    { day: 365, dollars: 12, tiers: { hot: 2, cold: 0, fixed: 10 } },
  ]
  expect(forecastStack(forecast)).toEqual({
    labels: ['1 d', '365 d'],
    layers: [
      { name: 'hot', values: [1, 2] },
      { name: 'fixed', values: [10, 10] },
    ],
  })
})
