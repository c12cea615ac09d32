// Traces held while the wall clock of one process on files is moved by 25 hours, 31 and 366 days: each hold has
// what the trace's age allowed when it was made, and goes at its own end.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Content, ShownHold, Why } from '@winnow/query'
import { hashOfKey } from '@winnow/runtime'
import { FileBlobStore, listHolds, readHold } from '@winnow/storage'
import { OtlpClient, trace48f } from '@winnow/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { MovedClock } from './crash/moved-clock.ts'
import { type RunningWinnow, shortWaits, startWinnow, winnow } from './support/winnow-process.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const traceId = '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f'
const other = 'ac3e000000000000ffffffffffffffff'
const waits = { timeout: 120_000, interval: 300 }
const text = 'i want refund for order 4481'
const identifier = 'sess_91ab'
const structural = 'claude-3-5-sonnet-20241022'
const [key, readKey] = ['key-of-the-console', 'key-of-a-reader']

const clock = new MovedClock()
let running: RunningWinnow
let folder: string
const holds: ShownHold[] = []

interface TraceAnswer {
  readonly why: Why
  readonly content: Content
  readonly level: string
  readonly tier: string
  readonly spans: readonly unknown[]
  readonly hold?: ShownHold
}

beforeAll(async () => {
  const { nodeArgs, env } = clock.options
  folder = mkdtempSync(join(tmpdir(), 'winnow-holds-'))
  const config = join(folder, 'winnow.yaml')
  writeFileSync(
    config,
    `keys:\n  ${hashOfKey(key)}: { tenant: default, scopes: [ingest, evaluate, read, content, admin] }\n  ${hashOfKey(readKey)}: { tenant: default, scopes: [read] }\n`,
  )
  running = await startWinnow({
    nodeArgs,
    args: ['--config', config],
    env: {
      ...shortWaits,
      ...env,
      WINNOW_TOPICS_PARTITIONS: '1',
      WINNOW_WRITER_EXPIRE_EVERY: '1s',
    },
  })
  const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc, apiKey: key })
  expect((await client.sendTraces(trace48f({ startMs: clock.nowMs }))).acknowledged).toBe(true)
  client.close()
  await vi.waitFor(async () => {
    expect((await trace()).content.level).toBe('full')
    expect(await objects('cold/')).not.toEqual([])
    expect(await objects('warm/')).not.toEqual([])
  }, waits)
})

afterAll(async () => {
  await running.stop()
  running.clean()
  clock.remove()
  rmSync(folder, { recursive: true })
})

test('in the first day a hold has the text; what is unknown is refused in one line', async () => {
  const made = await hold(50)
  expect(made).toMatchObject({ level: 'full', spans: 8, by: 'Ann Lee', reason: 'claim 4481' })
  expect(await held(made.id)).toContain(text)
  // The same again is the same.
  expect((await hold(50)).id).toBe(made.id)
  expect((await cli('list', '--json')).stdout).toBe(`${JSON.stringify({ holds: [made] })}\n`)
  const unknown = await cli(other, '--reason', 'r', '--by', 'b', '--until', '9d')
  expect(unknown.code).toBe(1)
  expect(unknown.stderr).toMatch(/^winnow: TRACE_UNKNOWN traceId "ac3e0.*": .*check the id.*\n$/)
  const lacking = await cli(traceId, '--reason', 'r')
  expect(lacking.code).toBe(2)
  expect(lacking.stderr).toContain('--by NAME')
  await expectNoFault()
})

test('after 25 hours hot has no text, the hold has it, and says so', async () => {
  await clock.jump(26 * hourMs)
  const read = await readFrom('hold')
  expect(read).toMatchObject({
    level: 'full',
    content: { level: 'full', hold: holds[0]?.id, until: holds[0]?.until },
    hold: { id: holds[0]?.id, reason: 'claim 4481' },
  })
  expectHas(read, [text, identifier])
  const reader = await trace(readKey)
  expect(reader).toMatchObject({ tier: 'hold', level: 'structured' })
  expect(JSON.stringify(reader)).not.toContain(text)
  expect(JSON.stringify(reader)).not.toContain('claim 4481')
  const otlp = await api(`/traces/${traceId}?format=otlp`)
  expect(otlp.status).toBe(200)
  expect(await otlp.text()).toContain(text)
  const { stdout } = await winnow(['trace', traceId, ...reach()])
  expect(stdout).toContain(`Kept by hold ${holds[0]?.id} until ${holds[0]?.until}. Read from hold.`)
  await expectNoFault()
})

test('a hold that somebody ends is gone, and the next has what is allowed by then: no text', async () => {
  const ended = await cli('end', holds[0]?.id ?? '')
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ended: of 48f/) })
  expect((await readFrom('hot')).level).toBe('structured')
  const made = await hold(33)
  expect(made).toMatchObject({ level: 'structured' })
  expect(await held(made.id)).toContain(identifier)
  expect(await held(made.id)).not.toContain(text)
})

test('after 31 days the structured hold is read beside cold, and after its own end cold alone', async () => {
  await clock.jump(31 * dayMs)
  const read = await readFrom('hold')
  expect(read).toMatchObject({ level: 'structured', content: { missing: ['text'] } })
  expectHas(read, [identifier, structural])
  await expectNoFault()
  const structured = holds.at(-1)?.id ?? ''
  await clock.jump(3 * dayMs)
  await vi.waitFor(async () => expect(await objects('holds/')).toEqual([]), waits)
  const cold = await readFrom('cold')
  expect(cold.level).toBe('hashed')
  expect(JSON.stringify(cold)).not.toContain(identifier)
  expect((await api(`/holds/${structured}`)).status).toBe(404)
})

test('from cold a hold has hashes, and after 366 days the trace is kept and explained by it alone', async () => {
  const made = await hold(500)
  expect(made).toMatchObject({ level: 'hashed' })
  expect(await held(made.id)).not.toContain(identifier)
  await clock.jump(366 * dayMs)
  await vi.waitFor(async () => {
    for (const tier of ['ledger/', 'warm/', 'cold/', 'ids/'])
      expect(await objects(tier)).toEqual([])
  }, waits)
  const read = await readFrom('hold')
  expect(read).toMatchObject({ level: 'hashed', content: { missing: ['text', 'strings'] } })
  expectHas(read, [structural])
  const told = await winnow(['why', traceId, ...reach()])
  expect(told).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Kept because the citation check failed'),
  })
  expect(told.stdout).toContain(`Kept by hold ${made.id}`)
  await expectNoFault()
})

test('an audit calls a hold overdue once its end has passed, the sweeper removes it, and then nobody knows the trace', async () => {
  const later = new MovedClock()
  const aheadMs = Math.round(clock.nowMs - Date.now())
  await later.jump(aheadMs + 200 * dayMs)
  const audited = await audit(later)
  later.remove()
  expect(audited.code).toBe(1)
  expect(audited.stdout).toContain('✗ overdue holds/')
  await clock.jump(200 * dayMs)
  await vi.waitFor(async () => expect(await objects('holds/')).toEqual([]), waits)
  await expectNoFault()
  // The ledger's segments may go in the sweep after.
  const gone = async () => expect((await trace()).why.state).toBe('unknown')
  await vi.waitFor(gone, waits)
  const until = new Date(clock.nowMs + dayMs).toISOString()
  const late = await cli(traceId, '--reason', 'r', '--by', 'b', '--until', until)
  expect(late).toMatchObject({ code: 1, stderr: expect.stringContaining('TRACE_UNKNOWN') })
})

const reach = (): string[] => ['--url', `http://${running.api}`, '--key', key]

const cli = (...args: string[]) => winnow(['hold', ...args, ...reach()])

/** Until the end of the day so many days on, by the clock of the process. */
async function hold(days: number): Promise<ShownHold> {
  const until = new Date(clock.nowMs + days * dayMs).toISOString().slice(0, 10)
  const said = ['--reason', 'claim 4481', '--by', 'Ann Lee', '--until', until, '--json']
  const { code, stdout, stderr } = await cli(traceId, ...said)
  expect([code, stderr]).toEqual([0, ''])
  const made = JSON.parse(stdout) as ShownHold
  holds.push(made)
  return made
}

/** All that a hold holds, by its id. */
async function held(id: string): Promise<string> {
  const blobs = FileBlobStore.existing(join(running.data, 'blobs'))
  const listed = (await Array.fromAsync(listHolds(blobs))).find(one => one.id === id)
  const read = await readHold(blobs, listed?.key ?? '', 'default')
  const bodies = read?.held.bodies.map(({ bytes }) => Buffer.from(bytes).toString('latin1'))
  const { decision, spans } = read?.held ?? {}
  return JSON.stringify([decision, spans, bodies], (_, one: unknown) =>
    typeof one === 'bigint' ? String(one) : one,
  )
}

async function objects(prefix: string): Promise<string[]> {
  const blobs = FileBlobStore.existing(join(running.data, 'blobs'))
  return (await Array.fromAsync(blobs.list(prefix))).map(one => one.key)
}

/** `winnow audit --age` and `winnow audit` beside the running process, by a wall clock. */
async function audit(by: MovedClock, ...what: string[]) {
  const { env, nodeArgs } = by.options
  const args = what.length > 0 ? what : ['--age', '--grace', '0s']
  return winnow(['audit', ...args, '--data', running.data], {
    ...env,
    NODE_OPTIONS: nodeArgs.join(' '),
  })
}

async function expectNoFault(): Promise<void> {
  await vi.waitFor(async () => {
    const aged = await audit(clock)
    expect(aged.stdout).toContain('✓ nothing is older than its tier allows')
    expect(aged.code).toBe(0)
    expect((await audit(clock, '--full')).code).toBe(0)
  }, waits)
}

async function readFrom(tier: string): Promise<TraceAnswer> {
  return vi.waitFor(async () => {
    const read = await trace()
    expect(read).toMatchObject({ tier })
    expect(read.spans.length).toBe(8)
    expect(read.why).toMatchObject({ state: 'kept', primary: 'citation-failed' })
    return read
  }, waits)
}

function api(path: string, by = key): Promise<Response> {
  const headers = { authorization: `Bearer ${by}` }
  return fetch(`http://${running.api}/api/v1${path}`, { headers })
}

async function trace(by = key): Promise<TraceAnswer> {
  return (await (await api(`/traces/${traceId}`, by)).json()) as TraceAnswer
}

function expectHas(value: unknown, words: readonly string[]): void {
  for (const word of words) expect(JSON.stringify(value)).toContain(word)
}
