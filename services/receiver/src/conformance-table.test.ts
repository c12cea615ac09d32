import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const service = resolve(import.meta.dirname, '..')
const root = resolve(service, '../..')

/** The lines of the checklist: transport, success, errors, JSON, data model, proof. */
const lines: Readonly<Record<string, number>> = { T: 9, S: 5, E: 7, J: 7, D: 8, P: 5 }

/** Lines that may say why they wait; every other one names a test. */
const notDue = ['P5']

interface Row {
  readonly id: string
  readonly cell: string
  readonly tests: readonly { readonly file: string; readonly name: string }[]
}

const rows: readonly Row[] = readFileSync(join(service, 'README.md'), 'utf8')
  .split('\n')
  .flatMap(line => {
    const match = /^\| ([A-Z]\d+) \| .+? \| (.+) \|$/.exec(line)
    if (match === null) return []
    const [, id = '', cell = ''] = match
    const tests = [...cell.matchAll(/`([^`]+\.test\.ts)`: "([^"]+)"/g)].map(
      ([, file = '', name = '']) => ({ file, name }),
    )
    return [{ id, cell, tests }]
  })

/** The titles of a file's tests, as its source has them: of `test('…', ` and of `test.each(…)('…', `. */
function titlesOf(path: string): string[] {
  const calls = readFileSync(path, 'utf8').matchAll(/(?:^test\(|\)\()\s*(['`])(.+?)\1\s*,/gm)
  return [...calls].map(([, , title = '']) => title)
}

test('every line of the checklist has its row, in order', () => {
  const wanted = Object.entries(lines).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, n) => `${letter}${n + 1}`),
  )
  expect(rows.map(({ id }) => id)).toEqual(wanted)
})

test('every due line names a test, and a line that is not due says why', () => {
  for (const { id, cell, tests } of rows) {
    const isDue = !notDue.includes(id)
    expect([id, tests.length > 0]).toEqual([id, isDue])
    expect([id, /^not due: .{20,}/.test(cell)]).toEqual([id, !isDue])
  }
})

test('every test that the table names exists', () => {
  const known = new Map<string, readonly string[]>()
  for (const { id, tests } of rows) {
    for (const { file, name } of tests) {
      const path = file.includes('/') ? join(root, file) : join(service, 'src', file)
      expect([id, file, existsSync(path)]).toEqual([id, file, true])
      const titles = known.get(path) ?? titlesOf(path)
      known.set(path, titles)
      const found = titles.some(title => title === name || title.startsWith(`${name} (`))
      expect([id, file, name, found]).toEqual([id, file, name, true])
    }
  }
})

test('the Collector’s tests are here by their names', () => {
  const named = [
    ['http.test.ts', 'JSONHTTP', 'ProtoHTTP', 'HandleInvalidRequests', 'InvalidContentEncoding'],
    ['http.test.ts', 'NoContentType'],
    ['limits.test.ts', 'HTTPMaxRequestBodySize'],
    ['grpc.test.ts', 'GRPCMaxRecvSize'],
    ['fuzz.test.ts', 'fuzz'],
  ] as const
  for (const [file, ...names] of named) {
    const titles = titlesOf(join(service, 'src', file))
    for (const name of names) {
      expect([name, titles.some(title => title.startsWith(`${name}: `))]).toEqual([name, true])
    }
  }
})
