// What is shipped to run Winnow says the same in all its files.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { Metrics } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { boardJson } from '../deploy/grafana/board.ts'
import { boards } from '../deploy/grafana/boards.ts'

const root = resolve(import.meta.dirname, '..')
const text = (path: string): string => readFileSync(join(root, path), 'utf8')

interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly annotations?: Readonly<Record<string, string>>
}

interface RuleFile {
  readonly groups: readonly { readonly rules: readonly Rule[] }[]
}

const rules = (parse(text('deploy/prometheus/alerts.yaml')) as RuleFile).groups.flatMap(
  group => group.rules,
)
const alerts = rules.filter(({ alert }) => alert !== undefined)

test('the boards that Grafana is given are those that are described', () => {
  const folder = 'deploy/grafana/dashboards'
  expect(readdirSync(join(root, folder)).toSorted()).toEqual(Object.keys(boards).toSorted())
  for (const [name, board] of Object.entries(boards)) {
    expect(text(join(folder, name)), `npm run boards writes ${name}`).toBe(boardJson(board))
  }
})

test('every panel has a place of its own on its board', () => {
  for (const [name, board] of Object.entries(boards)) {
    const { panels } = JSON.parse(boardJson(board)) as {
      panels: { id: number; gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>> }[]
    }
    const cells = new Set<string>()
    for (const { id, gridPos } of panels) {
      expect(gridPos.x + gridPos.w, `${name} ${id}`).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells.has(`${x},${y}`), `${name} ${id} at ${x},${y}`).toBe(false)
          cells.add(`${x},${y}`)
        }
      }
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  }
})

test('boards and rules ask for metrics by the names that the pipeline gives them', async () => {
  const { registry } = new Metrics()
  const known = new Set((await registry.getMetricsAsJSON()).map(({ name }) => name))
  for (const { record } of rules) if (record !== undefined) known.add(record)
  const exprs = [
    ...rules.map(({ expr }) => expr),
    ...Object.values(boards).flatMap(({ rows }) =>
      rows.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries.map(q => q.expr))),
    ),
  ]
  for (const expr of exprs) {
    for (const [name] of expr.matchAll(/\bwinnow[_:][a-z0-9_:]+/g)) {
      expect(known, expr).toContain(name.replace(/_(bucket|sum|count)$/, ''))
    }
  }
})

test('every alert has a paragraph in the operations page, and every paragraph its alert', () => {
  const page = text('docs/operations.md')
  const section = page.slice(page.indexOf('\n## Alerts'))
  const headings = [...section.matchAll(/^### (\w+)\n\n(.+)/gm)].map(([, name]) => name)
  expect(headings.toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted())
  for (const { alert, annotations } of alerts) {
    expect(annotations?.runbook).toBe(`docs/operations.md#${alert?.toLowerCase()}`)
  }
})

test('every alert has a case in which it fires and one in which it does not', () => {
  const folder = 'deploy/prometheus'
  const cases = readdirSync(join(root, folder))
    .filter(name => name.endsWith('.test.yaml'))
    .flatMap(
      name =>
        (
          parse(text(join(folder, name))) as {
            tests: {
              alert_rule_test: { alertname: string; exp_alerts: readonly unknown[] }[]
            }[]
          }
        ).tests,
    )
    .flatMap(one => one.alert_rule_test)
  for (const { alert } of alerts) {
    const own = cases.filter(({ alertname }) => alertname === alert)
    expect(
      own.some(one => one.exp_alerts.length > 0),
      `${alert} fires`,
    ).toBe(true)
    expect(
      own.some(one => one.exp_alerts.length === 0),
      `${alert} does not`,
    ).toBe(true)
  }
})

test('the sums of the sizing are right', () => {
  const page = text('docs/operations.md')
  const sizing = page.slice(page.indexOf('\n## Sizing'), page.indexOf('\n## Redis'))
  const sums = [...sizing.matchAll(/`([\d.]+(?: [×÷] [\d.]+)+) = ([\d.]+)(?: ([MGT]B))?`/g)]
  expect(sums.length).toBeGreaterThan(12)
  const units: Readonly<Record<string, number>> = { MB: 1e6, GB: 1e9, TB: 1e12 }
  for (const [whole, formula = '', result = '', unit = ''] of sums) {
    let value = 1
    for (const [, sign, factor] of `× ${formula}`.matchAll(/([×÷]) ([\d.]+)/g)) {
      value = sign === '×' ? value * Number(factor) : value / Number(factor)
    }
    // A sum of terabytes that were already told in gigabytes ends with ÷ 1000.
    const scale = formula.endsWith('÷ 1000') ? 1 : (units[unit] ?? 1)
    expect(value / scale / Number(result), whole).toBeCloseTo(1, 2)
  }
})

test('the operations page names no test, file or section that is not there', () => {
  const page = text('docs/operations.md')
  const files = ['test', 'packages', 'services'].flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }),
  )
  const known = new Set(files.map(file => basename(file)))
  const named = [...page.matchAll(/`([\w/.-]+\.test\.ts)`/g)].map(([, name = '']) => name)
  expect(named.length).toBeGreaterThan(20)
  for (const name of named) {
    const isThere = name.includes('/') ? existsSync(join(root, name)) : known.has(name)
    expect(isThere, name).toBe(true)
  }
  const anchors = [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  )
  for (const [, anchor = ''] of page.matchAll(/\]\(#([\w-]+)\)/g)) {
    expect(anchors).toContain(anchor)
  }
})

test('no section of the operations page is empty', () => {
  const sections = text('docs/operations.md').split(/^## /m).slice(1)
  const empty = sections.filter(section => section.split('\n').slice(1).join('').trim() === '')
  expect(empty.map(section => section.trim())).toEqual([])
})
