import { expect, test } from 'vitest'
import { decodeTenantRuns, encodeTenantRuns } from './tenant-runs.ts'

test('tenant runs survive their encoding', () => {
  const runs = [
    { tenant: 'default', start: 0, length: 10 },
    { tenant: 'a "quoted" é', start: 10, length: 7 },
  ]
  expect(decodeTenantRuns(encodeTenantRuns(runs))).toEqual(runs)
})

test('bytes that are no header are not read', () => {
  for (const text of ['', '{}', '[]', 'null', '{"v":2,"runs":[]}', '{"v":1,"runs":[["a",0]]}']) {
    expect(decodeTenantRuns(new TextEncoder().encode(text)), text).toBeUndefined()
  }
})
