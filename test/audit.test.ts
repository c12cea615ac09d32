// What `winnow audit` finds of what somebody did to the store by hand.

import {
  appendFileSync,
  copyFileSync,
  cpSync,
  mkdirSync,
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
import { crc32 } from 'node:zlib'
import { positionsFileName } from '@winnow/bus'
import { OtlpClient, trace48f, trafficEvents } from '@winnow/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { DatabaseSync } from '../packages/storage/src/node-sqlite.ts'
import { settled } from './support/settled.ts'
import { startWinnow, winnow } from './support/winnow-process.ts'

interface Hot {
  readonly days: readonly unknown[]
  readonly ledger: Readonly<Record<'traces' | 'spans' | 'bytes', number>>
  readonly held: Readonly<Record<'traces' | 'spans' | 'bytes', number>>
  readonly differenceBytes: number
  readonly storeBytes: number
  readonly textBytes: number
  readonly behind: number
}

interface Report {
  readonly agrees: boolean
  readonly hot: Hot | null
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
  // Each group of the writer stops where it is, the one of the hot store perhaps behind the segments.
  await settled([running.metrics], 60_000)
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
      ['ledger', 'warm', 'cold', 'ids', 'index', 'holds'].map(tier => filesIn(data, tier).length),
    )
  }
})

test('of every day the hot store has the traces, spans and bytes that the ledger says', async () => {
  const { code, report } = await auditOf(withHot(copyOf(data)))
  expect(report).toMatchObject({ agrees: true, counts: {}, findings: [] })
  expect(code).toBe(0)
  const { days, ledger, held, differenceBytes, storeBytes, textBytes } = report.hot as Hot
  expect(days.length).toBeGreaterThan(0)
  expect(held).toEqual(ledger)
  expect(differenceBytes).toBe(0)
  expect(ledger.traces).toBeGreaterThan(4)
  expect(ledger.spans).toBeGreaterThan(ledger.traces)
  const sizeOf = (kind: string) =>
    filesOfHot(data)
      .filter(name => name.endsWith(kind))
      .reduce((sum, name) => sum + statSync(join(data, 'hot', name)).size, 0)
  expect(textBytes).toBe(sizeOf('.bin'))
  // Beside it lies SQLite's own log while it is read.
  expect(storeBytes).toBeGreaterThanOrEqual(sizeOf('.sqlite'))
  const { stdout } = await winnow(['audit', '--data', data])
  expect(stdout).toContain('✓ the listing and the ledger agree, and so does the hot store')
  expect((await auditOf(data, '--no-hot')).report.hot).toBe(null)
})

test('a trace that hot lost, one that it has too many of, and one that lacks spans are named', async () => {
  const folder = withHot(copyOf(data))
  const [name = ''] = filesOfHot(folder).filter(file => file.endsWith('.sqlite'))
  const database = new DatabaseSync(join(folder, 'hot', name))
  const rows = database.prepare('SELECT id, trace_id FROM traces ORDER BY id LIMIT 2').all()
  const [lost, halved] = rows.map(({ id, trace_id }) => ({ id: Number(id), traceId: trace_id }))
  database.prepare('DELETE FROM parts WHERE trace = ?').run(lost?.id ?? 0)
  database.prepare('DELETE FROM traces WHERE id = ?').run(lost?.id ?? 0)
  database.prepare('DELETE FROM parts WHERE trace = ?').run(halved?.id ?? 0)
  const added = 'ff'.repeat(16)
  const columns = database
    .prepare("SELECT name FROM pragma_table_info('traces')")
    .all()
    .map(row => String(row.name))
    .filter(column => column !== 'id' && column !== 'trace_id')
    .join(', ')
  database.exec(
    `INSERT INTO traces (trace_id, ${columns}) SELECT '${added}', ${columns} FROM traces LIMIT 1`,
  )
  database.close()
  const today = name.slice('traces-'.length, 'traces-2026-11-21'.length)
  const key = (traceId: unknown) => `hot/${today}/default/${traceId}`
  await expectFound(folder, [
    ['missing', key(lost?.traceId), /^the ledger keeps it with \d+ spans, hot has no such trace$/],
    ['damaged', key(halved?.traceId), /^it has 0 spans of 0 bytes, the ledger says \d+ of \d+$/],
    ['orphan', key(added), /^the ledger does not keep it$/],
  ])
  const { report } = await auditOf(folder)
  expect((report.hot as Hot).differenceBytes).toBeLessThan(0)
  const { stdout, code } = await winnow(['audit', '--data', folder, '--metrics'])
  expect(code).toBe(1)
  expect(stdout).toContain('winnow_audit_findings{kind="missing"} 1\n')
  expect(stdout).toMatch(/^winnow_audit_difference_bytes\{tier="hot"\} -\d+$/m)
  expect(stdout).toMatch(/^winnow_audit_difference_bytes\{tier="cold"\} 0$/m)
})

test('what hot had not been given when the pipeline stopped is no finding', async () => {
  const folder = copyOf(data)
  cpSync(join(data, 'bus'), join(folder, 'bus'), { recursive: true })
  expect((await auditOf(folder)).report.hot).toBe(null)
  mkdirSync(join(folder, 'hot'))
  expect((await auditOf(folder)).report.counts).toEqual({ missing: 1 })
  const positions = join(folder, 'bus', positionsFileName)
  const lines = readFileSync(positions, 'utf8').split('\n')
  const own = lines.findLast(line => line.includes('"writer-hot"'))?.slice(9) ?? ''
  const stopped = JSON.stringify({ ...JSON.parse(own), offset: 0 })
  appendFileSync(positions, `${crc32(stopped).toString(16).padStart(8, '0')} ${stopped}\n`)
  const { code, report } = await auditOf(folder)
  expect({ code, report }).toMatchObject({ code: 0, report: { agrees: true } })
  expect(report.hot?.behind).toBe(JSON.parse(own).offset)
  // One that was away from the very first record on has no position at all.
  writeFileSync(positions, lines.filter(line => !line.includes('"writer-hot"')).join('\n'))
  expect(await auditOf(folder)).toMatchObject({ code: 0, report })
})

test('a day that is gone from hot is one finding', async () => {
  const folder = withHot(copyOf(data))
  const days = filesOfHot(folder).filter(file => file.endsWith('.sqlite'))
  for (const day of days) rmSync(join(folder, 'hot', day))
  await expectFound(
    folder,
    [...new Set(days.map(day => day.slice('traces-'.length, 'traces-2026-11-21'.length)))].map(
      date => ['missing', `hot/${date}`, /^the ledger keeps \d+ traces of this day$/] as const,
    ),
  )
})

test('a file of hot that was cut off is damaged, one that somebody put there is foreign', async () => {
  const folder = withHot(copyOf(data))
  const [day = ''] = filesOfHot(folder).filter(file => file.endsWith('.sqlite'))
  writeFileSync(join(folder, 'hot', 'notes.txt'), 'nothing of ours')
  await expectFound(folder, [['foreign', 'hot/notes.txt', /^no hot store gives such a name$/]])
  rmSync(join(folder, 'hot', 'notes.txt'))
  const path = join(folder, 'hot', day)
  truncateSync(path, Math.floor(statSync(path).size / 2))
  const date = day.slice('traces-'.length, 'traces-2026-11-21'.length)
  await expectFound(folder, [['damaged', `hot/${date}`, /restore the file or move it away/]])
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

function withHot(folder: string): string {
  cpSync(join(data, 'hot'), join(folder, 'hot'), { recursive: true })
  return folder
}

function filesOfHot(folder: string): string[] {
  return readdirSync(join(folder, 'hot'))
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
