// Trace 48f as time goes by: in one process on files, whose wall clock is moved by 25 hours, 8, 31 and 366
// days. What each tier then holds is the table of docs/levels.md, and every read says what is left.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Content, SearchPage, Why } from '@winnow/query'
import { FileBlobStore, readAllSpans, type SpanRow } from '@winnow/storage'
import { OtlpClient, trace48f } from '@winnow/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { MovedClock } from './crash/moved-clock.ts'
import { type RunningWinnow, startWinnow, winnow } from './support/winnow-process.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const traceId = '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f'
const waits = { timeout: 60_000, interval: 300 }

/** What each level takes away, of what trace 48f says: text, then identifiers; the rest stays clear. */
const texts = ['i want refund for order 4481', 'Mentions courtesy clause', 'late delivery courtesy']
const comment = 'I was told something else on the phone'
const identifiers = ['sess_91ab', 'h_38d2', 'msg_01H4r7K', 'pol_courtesy_v2_draft']
const structural = ['exp_prompt_terser_v3', 'claude-3-5-sonnet-20241022', 'v3.2', 'cohere-rerank-3']

/** Of a deployment: two that its configuration classes, one that nobody does. */
const own = {
  'acme.step': 'acme-step-seven',
  'acme.order.id': 'acme-order-4481',
  'acme.words': 'acme-words',
}

interface TraceAnswer {
  readonly why: Why
  readonly content: Content
  readonly level: string
  readonly tier: string
  readonly tiersSearched: readonly string[]
  readonly spans: readonly unknown[]
}

const clock = new MovedClock()
let running: RunningWinnow
let ownFolder: string
/** Of the hour in which it was decided, and of that day. */
let decidedAtMs: number

beforeAll(async () => {
  const { nodeArgs, env } = clock.options
  ownFolder = mkdtempSync(join(tmpdir(), 'winnow-levels-'))
  const config = join(ownFolder, 'winnow.yaml')
  writeFileSync(config, 'levels: { structural: [acme.step], structured: [acme.order.*] }')
  running = await startWinnow({
    nodeArgs,
    args: ['--config', config],
    env: { ...env, WINNOW_TOPICS_PARTITIONS: '1', WINNOW_WRITER_EXPIRE_EVERY: '1s' },
  })
  const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc })
  const { acknowledged } = await client.sendTraces(trace48f({ startMs: clock.nowMs }))
  expect(acknowledged).toBe(true)
  client.close()
  await vi.waitFor(async () => expect((await why()).state).toBe('kept'), waits)
  await sendOwn()
  const outcome = { traceId, id: 'csat', name: 'csat', score: 2, comment }
  const told = await fetch(`http://${running.api}/api/v1/evaluations`, {
    method: 'POST',
    body: JSON.stringify(outcome),
  })
  expect(told.status).toBe(202)
  const isWhole = async (): Promise<void> => {
    expect((await why()).rules.find(({ name }) => name === 'low-csat')?.matched).toBe(true)
    expect((await trace()).content.level).toBe('full')
    expect((await spansIn('cold')).length).toBe(9)
    expect((await spansIn('warm')).length).toBe(9)
  }
  await vi.waitFor(isWhole, waits)
  decidedAtMs = Date.parse((await why()).decidedAt ?? '')
})

afterAll(async () => {
  await running.stop()
  running.clean()
  clock.remove()
  rmSync(ownFolder, { recursive: true })
})

test('an audit of ages names what would be too old by then, and nothing before', async () => {
  const young = await audited(clock)
  expect(young).toMatchObject({ code: 0, report: { agrees: true, findings: [] } })
  expect(young.report.places.map(({ where, objects }) => [where, objects > 0])).toEqual([
    ['hot traces', true],
    ['hot text', true],
    ['ledger', true],
    ['warm', true],
    ['cold', true],
    ['ids', false],
    ['index', expect.any(Boolean)],
    ['holds', false],
  ])
  const namedAfter = async (ms: number): Promise<string[]> => {
    const later = new MovedClock()
    await later.jump(ms)
    const { code, report } = await audited(later)
    later.remove()
    expect(code).toBe(1)
    for (const { kind, key, says } of report.findings) {
      expect(kind).toBe('overdue')
      expect(says, key).toMatch(/ was due on \d{4}-\d\d-\d\dT/)
    }
    return [...new Set(report.findings.map(({ key }) => key.replace(/[-/].*/, '')))].sort()
  }
  expect(await namedAfter(27 * hourMs)).toEqual(['text'])
  expect(await namedAfter(9 * dayMs)).toEqual(['text', 'traces'])
  expect(await namedAfter(32 * dayMs)).toEqual(['text', 'traces', 'warm'])
  const last = await namedAfter(367 * dayMs)
  expect(last.filter(name => name !== 'index')).toEqual([
    'cold',
    'ledger',
    'text',
    'traces',
    'warm',
  ])
})

test('for a day: everything, text in hot alone', async () => {
  const read = await trace()
  expect(read).toMatchObject({ tier: 'hot', tiersSearched: ['hot'], level: 'full' })
  expect(read.content).toMatchObject({ level: 'full', since: null, missing: [] })
  expectHas(read, [...texts, ...identifiers, ...structural])
  expect(hotFiles().filter(name => name.startsWith('text-')).length).toBeGreaterThan(0)
  // A comment is content, and no store takes it: it leaves the bus with the evidence.
  expectLacks(read, [comment])
  const warm = await spansIn('warm')
  expectHas(warm, [...identifiers, ...structural])
  expectLacks(warm, [...texts, comment])
  const cold = await spansIn('cold')
  expectHas(cold, structural)
  expectLacks(cold, [...texts, ...identifiers, comment])
  // What the configuration says of the deployment's own keys holds in every tier.
  expectHas(warm, [own['acme.step'], own['acme.order.id']])
  expectHas(cold, [own['acme.step'], 'acme.order.id'])
  expectLacks([warm, cold], [own['acme.words']])
  expectLacks(cold, [own['acme.order.id']])
  expect(rawFiles('blobs/ledger')).not.toContain(texts[0])
  const otlp = await api('?format=otlp')
  expect(otlp.status).toBe(200)
  const { stdout } = await winnow(['trace', traceId, '--url', `http://${running.api}`])
  expect(stdout).not.toContain('Content:')
})

test('winnow levels says of every attribute of the hot store what it is, and why', async () => {
  const config = join(ownFolder, 'winnow.yaml')
  const { code, stdout } = await winnow([
    'levels',
    '--data',
    running.data,
    '--config',
    config,
    '--json',
  ])
  expect(code).toBe(0)
  expectLacks(stdout, [...texts, ...identifiers, ...Object.values(own)])
  const { attributes } = JSON.parse(stdout) as {
    attributes: readonly { key: string; level: string; source: string }[]
  }
  const of = (wanted: string) => attributes.find(({ key }) => key === wanted)
  expect(of('acme.step')).toMatchObject({ level: 'structural', source: 'configured' })
  expect(of('acme.order.id')).toMatchObject({ level: 'structured', pattern: 'acme.order.*' })
  expect(of('acme.words')).toMatchObject({ level: 'content', source: 'unlisted' })
  expect(of('user.message')).toMatchObject({ level: 'content', source: 'list' })
  expect(of('session.id')).toMatchObject({ level: 'structured', source: 'list' })
})

test('after 25 hours: structured, from hot, and no text is left on the disk', async () => {
  await clock.jump(25 * hourMs + hourMs)
  await vi.waitFor(() => expect(hotFiles().filter(isText)).toEqual([]), waits)
  await expectNothingOverdue()
  const read = await trace()
  expect(read).toMatchObject({ tier: 'hot', tiersSearched: ['hot'], level: 'structured' })
  expect(read.content).toMatchObject({ level: 'structured', missing: ['text'] })
  expect(read.content.since).toBe(new Date(endOf(decidedAtMs, hourMs) + dayMs).toISOString())
  expectHas(read, [...identifiers, ...structural])
  expectLacks(read, texts)
  expect(rawFiles('hot')).not.toContain(texts[0])
  expect((await api('?format=otlp')).status).toBe(410)
  await expectKeptAndExplained('structured')
  const page = (await get('/api/v1/search')) as SearchPage
  expect(page.traces.map(({ content }) => content)).toEqual(['structured', 'structured'])
  await expectSaid(/^Content: structured since .*text .*has expired.* Read from hot\.$/m)
})

test('after 8 days: structured, from warm, without a date', async () => {
  await clock.jump(7 * dayMs)
  await vi.waitFor(() => expect(hotFiles()).toEqual([]), waits)
  await expectNothingOverdue()
  const read = await readFrom('warm')
  expect(read).toMatchObject({ level: 'structured', tiersSearched: ['hot', 'warm'] })
  expect(read.content).toMatchObject({ level: 'structured', missing: ['text'] })
  expectHas(read, [...identifiers, ...structural])
  expectLacks(read, texts)
  await expectKeptAndExplained('structured')
  await expectSaid(/^Content: structured since .* Read from warm\.$/m)
})

test('after 31 days: keyed hashes, from cold', async () => {
  await clock.jump(24 * dayMs)
  await vi.waitFor(async () => expect(await spansIn('warm')).toEqual([]), waits)
  await expectNothingOverdue()
  const read = await readFrom('cold')
  expect(read.level).toBe('hashed')
  expect(read.content).toMatchObject({ level: 'hashed', missing: ['text', 'strings'] })
  expectHas(read, structural)
  expectLacks(read, [...texts, ...identifiers])
  expect(JSON.stringify(read)).toMatch(/"session\.id","value":\{"stringValue":"h_[\w-]{16}"\}/)
  await expectKeptAndExplained('hashed')
  await expectSaid(/^Content: hashed since .*keyed hash is left.* Read from cold\.$/m)
})

test('after 366 days: nothing anywhere, and nobody knows it', async () => {
  await clock.jump(336 * dayMs)
  const isGone = async (): Promise<void> => {
    for (const tier of ['ledger', 'warm', 'cold', 'ids', 'index']) {
      expect(files(join('blobs', tier)), tier).toEqual([])
    }
    expect((await why()).state).toBe('unknown')
  }
  await vi.waitFor(isGone, waits)
  await expectNothingOverdue()
  expect((await api()).status).toBe(404)
})

/** A trace whose attributes the configuration classes; its error keeps it. */
async function sendOwn(): Promise<void> {
  const nowNs = BigInt(clock.nowMs) * 1_000_000n
  const span = {
    traceId: 'ac3e000000000000ffffffffffffffff',
    spanId: '00000000000000aa',
    name: 'acme.step',
    kind: 2,
    startTimeUnixNano: String(nowNs - 1_000_000n),
    endTimeUnixNano: String(nowNs),
    status: { code: 2 },
    attributes: Object.entries(own).map(([key, stringValue]) => ({ key, value: { stringValue } })),
  }
  const response = await fetch(`http://${running.otlpHttp}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }),
  })
  expect(response.status).toBe(200)
}

interface AgeReport {
  readonly agrees: boolean
  readonly places: readonly { readonly where: string; readonly objects: number }[]
  readonly findings: readonly Readonly<Record<'kind' | 'key' | 'says', string>>[]
}

/** `winnow audit --age` beside the running process, by another wall clock. */
async function audited(by: MovedClock): Promise<{ code: number | null; report: AgeReport }> {
  const { env, nodeArgs } = by.options
  const { code, stdout, stderr } = await winnow(
    ['audit', '--age', '--grace', '0s', '--json', '--data', running.data],
    { ...env, NODE_OPTIONS: nodeArgs.join(' ') },
  )
  expect(stderr).toBe('')
  return { code, report: JSON.parse(stdout) as AgeReport }
}

async function expectNothingOverdue(): Promise<void> {
  const { code, report } = await audited(clock)
  expect(report.findings).toEqual([])
  expect(code).toBe(0)
}

async function expectKeptAndExplained(level: string): Promise<void> {
  const told = await why()
  expect(told).toMatchObject({ state: 'kept', primary: 'citation-failed', verdict: 'keep' })
  expect(told.content?.level).toBe(level)
  const { stdout } = await winnow(['why', traceId, '--url', `http://${running.api}`])
  expect(stdout).toContain('Kept because the citation check failed')
  expect(stdout).toContain(`Content: ${level} since`)
}

async function expectSaid(words: RegExp): Promise<void> {
  const { stdout, code } = await winnow(['trace', traceId, '--url', `http://${running.api}`])
  expect(code).toBe(0)
  expect(stdout).toMatch(words)
  expect(stdout).toContain('llm.generate')
}

/** Its id index is made once a later day is there, or the partition is silent. */
async function readFrom(tier: string): Promise<TraceAnswer> {
  return vi.waitFor(async () => {
    const read = await trace()
    expect(read).toMatchObject({ tier })
    expect(read.spans.length).toBe(8)
    return read
  }, waits)
}

async function api(rest = ''): Promise<Response> {
  return fetch(`http://${running.api}/api/v1/traces/${traceId}${rest}`)
}

async function get(path: string): Promise<unknown> {
  return (await fetch(`http://${running.api}${path}`)).json()
}

async function trace(): Promise<TraceAnswer> {
  return (await (await api()).json()) as TraceAnswer
}

async function why(): Promise<Why> {
  return (await (await api('/why')).json()) as Why
}

async function spansIn(tier: 'warm' | 'cold'): Promise<SpanRow[]> {
  const blobs = await FileBlobStore.open(join(running.data, 'blobs'))
  const rows: SpanRow[] = []
  for await (const { key } of blobs.list(`${tier}/`)) rows.push(...(await readAllSpans(blobs, key)))
  await blobs.close()
  return rows
}

function files(folder: string): string[] {
  const path = join(running.data, folder)
  if (!existsSync(path)) return []
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
}

function hotFiles(): string[] {
  return readdirSync(join(running.data, 'hot'))
}

function rawFiles(folder: string): string {
  return files(folder)
    .map(path => readFileSync(path, 'latin1'))
    .join('\n')
}

function isText(name: string): boolean {
  return name.startsWith('text-')
}

function endOf(timeMs: number, ms: number): number {
  return (Math.floor(timeMs / ms) + 1) * ms
}

const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one))

function expectHas(value: unknown, words: readonly string[]): void {
  for (const word of words) expect(textOf(value)).toContain(word)
}

function expectLacks(value: unknown, words: readonly (string | undefined)[]): void {
  for (const word of words) expect(textOf(value)).not.toContain(word)
}
