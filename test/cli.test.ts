import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { OtlpClient, trace48f, trace48fId, trace48fTwin, trace48fTwinId } from '@winnow/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { program, type RunningWinnow, startWinnow, winnow } from './support/winnow-process.ts'

let running: RunningWinnow
let folder: string
let url: string[]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-cli-'))
  running = await startWinnow()
  url = ['--url', `http://${running.api}`]
  const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc })
  await client.sendTraces(trace48f({ startMs: Date.now() }))
  await client.sendTraces(trace48fTwin({ startMs: Date.now() }))
  client.close()
  const stored = async () => expect((await winnow(['trace', trace48fId, ...url])).code).toBe(0)
  await vi.waitFor(stored, { timeout: 30_000, interval: 500 })
})

afterAll(async () => {
  await running.stop()
  running.clean()
  rmSync(folder, { recursive: true })
})

test('why reads as sentences, and with --json as the API says it', async () => {
  const { code, stdout } = await winnow(['why', trace48fId, ...url])
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /^KEPT {2}48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f {2}refund-bot · refund_chat\.turn/,
  )
  expect(stdout).toContain('1 of 2 claims supported, 1 unsupported')
  expect(stdout).toContain('CSAT 2 ≤ 2')
  expect(stdout).toContain('outcome.policy_correct is false')
  const json = JSON.parse((await winnow(['why', trace48fId, '--json', ...url])).stdout)
  expect(json).toMatchObject({ state: 'kept', primary: 'citation-failed' })
})

test('trace draws the waterfall, and --format otlp gives OTLP/JSON', async () => {
  const { stdout } = await winnow(['trace', trace48fId, ...url])
  expect(stdout).toMatch(/refund_chat\.turn +2608 ms +█/)
  expect(stdout).toMatch(/│ {2}└─ rerank\.cross_encoder/)
  expect(stdout).toMatch(/claude-3-5-sonnet-20241022 1870→180/)
  const otlp = await winnow(['trace', trace48fId, '--json', '--format', 'otlp', ...url])
  expect(JSON.parse(otlp.stdout).resourceSpans.length).toBeGreaterThan(0)
})

test('what is not found exits with 1', async () => {
  const missing = await winnow(['why', 'b'.repeat(32), ...url])
  expect(missing.code).toBe(1)
  expect(missing.stdout).toContain('UNKNOWN')
  const dropped = await winnow(['trace', trace48fTwinId, ...url])
  expect(dropped.code).toBe(1)
  expect(dropped.stderr).toContain('rescue')
  expect((await winnow(['search', '--rule', 'span-error', ...url])).code).toBe(1)
})

test('wrong use exits with 2 and says what to do', async () => {
  for (const args of [
    ['why'],
    ['why', 'xyz', ...url],
    ['evaluate', trace48fId, 'csat', ...url],
    ['evaluate', trace48fId, 'csat=1e400', ...url],
    ['search', '--since', '2026-02-30', ...url],
    ['nonsense'],
    ['up', '--exit'],
  ]) {
    const { code, stderr } = await winnow(args)
    expect(code, args.join(' ')).toBe(2)
    expect(stderr.trim(), args.join(' ')).not.toBe('')
  }
})

test('an option that cannot be meant so is named, before anything is done', async () => {
  const two = join(folder, 'two-lines.key')
  writeFileSync(two, 'wk_1\nwk_2\n')
  const policy = join(folder, 'ordinary.yaml')
  writeFileSync(policy, 'version: o\nrules: [{ kind: ordinary }]')
  const data = ['--data', running.data]
  const backtest = ['backtest', '--policy', policy, ...data]
  const cases: [args: string[], says: RegExp][] = [
    [['erase', '--where', 'trace.id=a', '--tenant', 'b', ...url], /--tenant goes with --data/],
    [['why', trace48fId, ...url, '--key-file', two], /two-lines\.key has characters that no key/],
    [['audit', ...data, '--json', '--csv'], /--json and --csv are forms of one answer/],
    [['topics', '--plan', '--principal', 'winnow'], /--principal "winnow": .* as User:winnow/],
    [[...backtest, '--since', '2999-01-01'], /--since "2999-01-01" is yet to come/],
    [[...backtest, '--since', '1h', '--until', '2h'], /--until "2h" is not after --since "1h"/],
    [[...backtest, '--since', '1h', '--tenant', 'x'], /nothing of tenant x was decided/],
    [[...backtest, '--since', '1h', '--known-bad', '/dev/null'], /\/dev\/null names no trace/],
    [[...backtest, '--since', '1h', '--flips', '/nowhere/f'], /--flips \/nowhere\/f cannot be/],
  ]
  for (const [args, says] of cases) {
    const { code, stderr } = await winnow(args)
    expect(stderr, args.join(' ')).toMatch(says)
    expect(code, args.join(' ')).toBe(2)
  }
})

test('of a data folder that is not there nothing is said, and none is made', async () => {
  const data = join(folder, 'typo')
  for (const args of [
    ['audit'],
    ['cost'],
    ['cold-keys', 'list', '--tenant', 'a'],
    ['backtest', '--policy', 'default', '--since', '1h'],
    ['erase', '--where', 'trace.id=a'],
  ]) {
    const { code, stdout, stderr } = await winnow([...args, '--data', data])
    expect(stderr, args[0]).toMatch(args[0] === 'backtest' ? /no such/ : /data .*typo .*--data/)
    expect({ code, stdout }, args[0]).toEqual({ code: 2, stdout: '' })
    expect(existsSync(data)).toBe(false)
  }
})

test('a full disk behind standard output is one line', () => {
  const full = openSync('/dev/full', 'w')
  const args = [program, 'why', trace48fId, ...url]
  const { status, stderr } = spawnSync(process.execPath, args, { stdio: ['ignore', full, 'pipe'] })
  closeSync(full)
  expect(`${stderr}`).toMatch(/^winnow: cannot write to standard output: ENOSPC[^\n]*\n$/)
  expect(status).toBe(70)
})

test('a server that cannot be reached exits with 3 and names the address', async () => {
  const { code, stderr } = await winnow(['why', trace48fId, '--url', 'http://127.0.0.1:9'])
  expect(code).toBe(3)
  expect(stderr).toMatch(/cannot reach http:\/\/127\.0\.0\.1:9/)
})

test('search, sampling, evaluate and rescue say what they found and did', async () => {
  const search = await winnow(['search', '--since', '1h', ...url])
  expect(search.stdout).toContain(trace48fId)
  expect(search.stdout).toContain('searched: hot')
  const dropped = await winnow(['search', '--state', 'dropped', '--json', ...url])
  expect(JSON.parse(dropped.stdout).traces).toMatchObject([{ traceId: trace48fTwinId }])
  expect((await winnow(['sampling', ...url])).stdout).toContain('1 of 2 traces kept')
  const told = await winnow(['evaluate', trace48fId, 'judge=fail', '--source', 'reviewer', ...url])
  expect(told.stdout).toMatch(new RegExp(`^accepted ${trace48fId}\\.`))
  const rescued = await winnow(['rescue', trace48fTwinId, '--reason', 'escalation', ...url])
  expect(rescued).toMatchObject({ code: 0 })
  await expect
    .poll(async () => (await winnow(['why', trace48fTwinId, ...url])).stdout, {
      timeout: 20_000,
      interval: 500,
    })
    .toMatch(/^KEPT/)
  expect((await winnow(['why', trace48fTwinId, ...url])).stdout).toContain('Asked for: escalation')
})

test('policy check accepts a policy and names every mistake of another', async () => {
  const good = join(folder, 'good.yaml')
  const bad = join(folder, 'bad.yaml')
  writeFileSync(good, 'v: 1\nversion: mine\nrules:\n  - { kind: ordinary, probability: 0.05 }\n')
  writeFileSync(
    bad,
    'v: 1\nversion: mine\nrules:\n  - { name: a, kind: low-csat, atMst: 2 }\n  - { name: a, kind: ordinary, probability: 5 }\n',
  )
  expect(await winnow(['policy', 'check', good])).toMatchObject({ code: 0 })
  const refused = await winnow(['policy', 'check', bad])
  expect(refused.code).toBe(1)
  expect(refused.stdout).toContain('atMst')
  expect(refused.stdout).toMatch(/probability/)
})

test('a configuration with mistakes is refused at once, all of them named', async () => {
  const file = join(folder, 'winnow.yaml')
  writeFileSync(file, 'assembler: { quiet: 5, openMx: 2min }\nbus: redis\n')
  const { code, stderr } = await winnow(['up', '--config', file])
  expect(code).toBe(2)
  for (const part of ['assembler.quiet', 'openMx', 'bus']) expect(stderr).toContain(part)
  const variable = await winnow(['up'], { WINNOW_ASSEMBLER_QIET: '1s' })
  expect(variable).toMatchObject({ code: 2 })
  expect(variable.stderr).toContain('WINNOW_ASSEMBLER_QIET')
})

test('a data folder that another process holds is refused with its path', async () => {
  const { code, stderr } = await winnow([
    'up',
    '--data',
    running.data,
    '--api',
    '127.0.0.1:0',
    '--metrics',
    '127.0.0.1:0',
    '--otlp-grpc',
    '127.0.0.1:0',
    '--otlp-http',
    '127.0.0.1:0',
  ])
  expect(code).toBe(2)
  expect(stderr).toContain(running.data)
})

test('an older Node is told in one line what to do', async () => {
  const older = "Object.defineProperty(process.versions, 'node', { value: '20.20.2' })"
  const { code, stderr } = await winnow(['--version'], {
    NODE_OPTIONS: `--import "data:text/javascript,${encodeURIComponent(older)}"`,
  })
  expect(code).toBe(2)
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stderr).toMatch(/needs Node 24\.11 or newer, this is 20\.20\.2: run it as `npx winnow`/)
})
