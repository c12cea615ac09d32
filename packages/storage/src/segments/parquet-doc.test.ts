import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Column } from '../column.ts'
import { spanColumns } from '../span-columns.ts'
import { ledgerColumns } from './ledger-columns.ts'

const parquetTypes: Readonly<Record<Column<never>['type'], string>> = {
  string: 'string',
  boolean: 'boolean',
  int32: 'int32',
  uint32: 'uint32',
  int64: 'int64',
  count: 'int64',
  double: 'double',
  timestamp: 'timestamp (ms)',
}

const levels: Readonly<Record<Column<never>['cold'], string>> = {
  clear: 'structural: clear in both',
  'strings hashed': 'structured; cold: strings hashed',
  hashed: 'structured; cold: hashed',
  fact: 'fact',
}

test('docs/parquet.md has one table with every column as it is written', async () => {
  const doc = await readFile(new URL('../../../../docs/parquet.md', import.meta.url), 'utf8')
  const line = <Row>(tiers: string, column: Column<Row>): string => {
    const { name, type, nullable, unit, cold, meaning } = column
    const kind = parquetTypes[type] + (nullable ? ', null' : '')
    return `| \`${name}\` | ${kind} | ${unit} | ${tiers} | ${levels[cold]} | ${meaning} |`
  }
  const lines = [
    ...spanColumns.map(column => line('warm, cold', column)),
    ...ledgerColumns.map(column => line('ledger', column)),
  ]
  const table = doc.split('\n').filter(row => row.startsWith('| `'))
  expect(table).toEqual(lines)
})
