// What `winnow audit` finds of what somebody did to the store by hand.

import {
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { OtlpClient, trace48f, trafficEvents } from '@winnow/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startWinnow, winnow } from './support/winnow-process.ts'

interface Report {
  readonly agrees: boolean
  readonly folders: readonly Record<string, number>[]
  readonly counts: Readonly<Record<string, number>>
  readonly findings: readonly { kind: string; key: string; says: string }[]
}

const seed = 20_261_122
const hourMs = 3_600_000
let data: string
const copies: string[] = []

beforeAll(async () => {
  console.info(`seed ${seed}`)
  const running = await startWinnow({ env: { WINNOW_TOPICS_PARTITIONS: '1' } })
  data = running.data
  const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc })
  // One after the other, so that the partition has several segments.
  for (let round = 0; round < 4; round++) {
    if (round === 0) await client.sendTraces(trace48f({ startMs: Date.now() }))
    const events = trafficEvents({
      seed: seed + round,
      traces: 40,
      startMs: Date.now(),
      quick: true,
      tenants: ['default'],
    })
    for (const event of events) if (event.kind === 'request') await client.sendTraces(event.data)
    const before = segmentsIn(data, 'warm').length
    const isWritten = () => expect(segmentsIn(data, 'warm').length).toBeGreaterThan(before)
    await vi.waitFor(isWritten, { timeout: 60_000, interval: 200 })
  }
  client.close()
  expect(await running.stop()).toBe(0)
  // What was made just now may be under way.
  const madeAt = new Date(Date.now() - hourMs)
  for (const tier of ['ledger', 'warm', 'cold']) {
    for (const key of segmentsIn(data, tier)) utimesSync(pathOf(data, key), madeAt, madeAt)
  }
})

afterAll(() => {
  for (const folder of [data, ...copies]) rmSync(folder, { recursive: true, force: true })
})

test('the listing and the ledger of a run agree, to the byte', async () => {
  for (const options of [[], ['--full']]) {
    const { code, report } = await auditOf(data, ...options)
    expect(report).toMatchObject({ agrees: true, counts: {}, findings: [] })
    expect(code).toBe(0)
    for (const folder of report.folders) {
      expect(folder.accountedBytes).toBe(folder.listedBytes)
    }
    expect(report.folders.map(folder => folder.listedObjects ?? 0)).toEqual(
      ['ledger', 'warm', 'cold', 'ids', 'index'].map(tier => filesIn(data, tier).length),
    )
  }
})

test('an object that is gone is missing', async () => {
  const folder = copyOf(data)
  const [gone = ''] = segmentsIn(folder, 'cold')
  rmSync(pathOf(folder, gone))
  await expectFound(folder, [['missing', gone, /^the ledger says that it has \d+ rows$/]])
})

test('an object that somebody added is an orphan, or foreign by its name', async () => {
  const folder = copyOf(data)
  const [own = ''] = segmentsIn(folder, 'warm')
  const added = own.replace(/\d{12}\.parquet$/, '999999999999.parquet')
  const foreign = join(dirname(own), 'copy-of-monday.parquet')
  copyFileSync(pathOf(folder, own), pathOf(folder, added))
  writeFileSync(pathOf(folder, foreign), 'nothing of ours')
  await expectFound(folder, [
    ['orphan', added, /^no segment of the ledger has its range$/],
    ['foreign', foreign, /^no writer gives such a name$/],
  ])
})

test('an object that was cut off is damaged, and so is one in the place of another', async () => {
  const folder = copyOf(data)
  const [first = '', second = '', third = ''] = segmentsIn(folder, 'warm')
  truncateSync(pathOf(folder, first), statSync(pathOf(folder, first)).size - 100)
  copyFileSync(pathOf(folder, third), pathOf(folder, second))
  await expectFound(folder, [
    ['damaged', first, /./],
    ['damaged', second, /^it has records \d+ to \d+ in \d+ rows, the ledger says/],
  ])
})

test('one byte in the middle of a page is seen by --full alone', async () => {
  const folder = copyOf(data)
  const [own = ''] = segmentsIn(folder, 'cold')
  const bytes = readFileSync(pathOf(folder, own))
  bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40)
  writeFileSync(pathOf(folder, own), bytes)
  expect((await auditOf(folder)).report.agrees).toBe(true)
  await expectFound(folder, [['damaged', own, /./]], '--full')
})

test('a ledger that is gone leaves a gap, and orphans in the other tiers', async () => {
  const folder = copyOf(data)
  const [, gone = ''] = segmentsIn(folder, 'ledger')
  const [, , after = ''] = segmentsIn(folder, 'ledger')
  rmSync(pathOf(folder, gone))
  const orphans = ['cold', 'warm']
    .map(tier => gone.replace('ledger', tier))
    .filter(key => segmentsIn(folder, dirname(key).split('/')[0] ?? '').includes(key))
  await expectFound(folder, [
    ...orphans.map(key => ['orphan', key, /./] as const),
    ['gap', after, /^it begins with record \d+, .* ends with \d+$/],
  ])
  const { stdout } = await winnow(['audit', '--data', folder, '--csv'])
  expect(stdout.split('\r\n')[0]).toBe('"kind","key","bytes","says"')
  expect(stdout).toContain(`"gap","${after}","0","it begins with record`)
})

test('a damaged ledger is one finding: what follows it is not called a gap', async () => {
  const folder = copyOf(data)
  const [, own = ''] = segmentsIn(folder, 'ledger')
  truncateSync(pathOf(folder, own), 100)
  await expectFound(folder, [['damaged', own, /./]])
})

test('what its tier should have deleted long ago is overdue', async () => {
  const folder = copyOf(data)
  const lives = { WINNOW_WRITER_WARM_LIFE: '1d' }
  for (const key of segmentsIn(folder, 'warm')) {
    const old = key.replace(/date=[^/]+/, 'date=2026-01-01')
    cpSync(pathOf(folder, key), pathOf(folder, old), { recursive: true })
    cpSync(
      pathOf(folder, key.replace('warm', 'ledger')),
      pathOf(folder, old.replace('warm', 'ledger')),
      { recursive: true },
    )
    break
  }
  const { report } = await auditOf(folder, lives)
  const overdue = report.findings.filter(({ kind }) => kind === 'overdue')
  expect(overdue.map(({ key }) => key)).toEqual([expect.stringMatching(/^warm\/date=2026-01-01\//)])
})

type Expected = readonly (readonly [kind: string, key: string, says: RegExp])[]

async function expectFound(folder: string, expected: Expected, ...options: string[]) {
  const { code, report } = await auditOf(folder, ...options)
  expect(code).toBe(1)
  expect(report.agrees).toBe(false)
  const byKey = <T extends { key: string }>(list: readonly T[]) =>
    list.toSorted((a, b) => (a.key < b.key ? -1 : 1))
  expect(byKey(report.findings.map(({ kind, key, says }) => ({ kind, key, says })))).toEqual(
    byKey(expected.map(([kind, key, says]) => ({ kind, key, says: expect.stringMatching(says) }))),
  )
}

async function auditOf(
  folder: string,
  ...rest: (string | Record<string, string>)[]
): Promise<{ code: number | null; report: Report }> {
  const options = rest.filter(one => typeof one === 'string')
  const env = Object.assign({}, ...rest.filter(one => typeof one === 'object'))
  const args = ['audit', '--data', folder, '--json', ...options]
  const { code, stdout, stderr } = await winnow(args, env)
  if (stdout === '') throw new Error(stderr)
  return { code, report: JSON.parse(stdout) as Report }
}

function copyOf(folder: string): string {
  const made = mkdtempSync(join(tmpdir(), 'winnow-audit-'))
  copies.push(made)
  cpSync(join(folder, 'blobs'), join(made, 'blobs'), { recursive: true, preserveTimestamps: true })
  return made
}

function pathOf(folder: string, key: string): string {
  return join(folder, 'blobs', key)
}

/** Keys, ascending. */
function segmentsIn(folder: string, tier: string): string[] {
  return filesIn(folder, tier).filter(key => key.endsWith('.parquet'))
}

function filesIn(folder: string, tier: string): string[] {
  const root = join(folder, 'blobs', tier)
  const there = statSync(root, { throwIfNoEntry: false }) !== undefined
  if (!there) return []
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(join(folder, 'blobs').length + 1))
    .toSorted()
}
