import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { connect } from 'node:tls'
import { TestAuthority, trace48fId } from '@winnow/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type RunningWinnow, startWinnow, winnow } from './support/winnow-process.ts'

// The procedures of docs/operations.md, "Keys and certificates", on a running process.

const authority = new TestAuthority('first authority')
const clients = new TestAuthority('clients')
const client = clients.issue({ name: 'operator' })

let folder: string
let running: RunningWinnow
/** Every secret that was ever given to the process or to a command. */
const secrets: string[] = [client.key]
/** All that was said in return. */
const said: string[] = []

const file = (name: string): string => join(folder, name)

/** In one step, as whoever renews a file should: no reader sees half of it. */
function put(name: string, text: string): void {
  writeFileSync(`${file(name)}.new`, text, { mode: 0o600 })
  renameSync(`${file(name)}.new`, file(name))
}

async function newKey(...args: readonly string[]): Promise<{ key: string; line: string }> {
  const { code, stdout } = await winnow(['keys', 'new', '--tenant', 'acme', ...args])
  expect(code).toBe(0)
  const [, key = ''] = /^ {2}(winnow_\S+)$/m.exec(stdout) ?? []
  const [, line = ''] = /^( {2}[0-9a-f]{64}: .+)$/m.exec(stdout) ?? []
  secrets.push(key)
  return { key, line }
}

function putPair(issuer: TestAuthority): void {
  const { cert, key } = issuer.issue()
  secrets.push(key)
  put('cert.pem', cert)
  put('key.pem', key)
}

let first: { key: string; line: string }

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-operate-'))
  first = await newKey('--name', 'first')
  put('keys.yaml', `v: 1\nkeys:\n${first.line}\n`)
  put('ca.pem', authority.ca)
  put('clients.pem', clients.ca)
  put('client.pem', client.cert)
  put('client.key', client.key)
  putPair(authority)
  const config = {
    certFile: file('cert.pem'),
    keyFile: file('key.pem'),
    clientCaFile: file('clients.pem'),
  }
  put('winnow.yaml', JSON.stringify({ keysFile: file('keys.yaml'), tls: config }))
  running = await startWinnow({ args: ['--config', file('winnow.yaml')] })
})

afterAll(async () => {
  await running.stop()
  running.clean()
  rmSync(folder, { recursive: true })
})

interface Asked {
  readonly key?: string
  readonly ca?: string
  readonly agent?: Agent
  readonly address?: string
  readonly path?: string
  /** Sent as JSON by POST. */
  readonly body?: string
  /** Without it: no client certificate. */
  readonly pair?: { readonly cert: string; readonly key: string }
}

async function ask(asked: Asked): Promise<{ status: number; text: string }> {
  const { key, ca = authority.ca, agent, address = running.api, pair = client } = asked
  const path = asked.path ?? `/api/v1/traces/${trace48fId}/why`
  const sent = request(`https://${address}${path}`, {
    ca,
    ...pair,
    method: asked.body === undefined ? 'GET' : 'POST',
    agent: agent ?? false,
    headers: {
      'content-type': 'application/json',
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
    },
  })
  sent.end(asked.body)
  const [response] = await once(sent, 'response')
  let text = ''
  for await (const chunk of response) text += chunk
  said.push(text)
  return { status: response.statusCode, text }
}

/** How often the keys were read again. */
async function reloads(result: 'applied' | 'refused'): Promise<number> {
  const { text } = await ask({ address: running.metrics, path: '/metrics' })
  const line = new RegExp(`winnow_reloads_total\\{what="keys",result="${result}"\\} (\\d+)`)
  return Number(line.exec(text)?.[1] ?? 0)
}

/** Reloads are looked for every two seconds. */
const eventually = (check: () => Promise<void>) =>
  vi.waitFor(check, { timeout: 60_000, interval: 200 })

async function command(...args: readonly string[]) {
  const result = await winnow(args)
  said.push(result.stdout, result.stderr)
  return result
}

test('a key is rotated without a restart: the next one is added, then the old one is taken out', async () => {
  expect((await ask({ key: first.key })).status).toBe(200)
  const next = await newKey('--name', 'next')
  expect((await ask({ key: next.key })).status).toBe(401)
  put('keys.yaml', `v: 1\nkeys:\n${first.line}\n${next.line}\n`)
  await eventually(async () => expect((await ask({ key: next.key })).status).toBe(200))
  expect((await ask({ key: first.key })).status).toBe(200)
  put('keys.yaml', `v: 1\nkeys:\n${next.line}\n`)
  await eventually(async () => expect((await ask({ key: first.key })).status).toBe(401))
  expect((await ask({ key: next.key })).status).toBe(200)
  // The receiver reads the same file in another thread.
  const otlp = { address: running.otlpHttp, path: '/v1/traces', body: '{}' }
  await eventually(async () => expect((await ask({ ...otlp, key: first.key })).status).toBe(401))
  expect((await ask({ ...otlp, key: next.key })).status).toBe(200)
  first = next
})

test('a keys file that is spoilt leaves the last good keys in force, and a metric and the log say so', async () => {
  const before = { applied: await reloads('applied'), refused: await reloads('refused') }
  put('keys.yaml', `v: 1\nkeys:\n  ${first.key}: acme\n`)
  await eventually(async () => expect(await reloads('refused')).toBe(before.refused + 1))
  expect((await ask({ key: first.key })).status).toBe(200)
  expect(running.stderr()).toContain('keys.reload_refused')
  expect(running.stderr()).toContain('entry 1 is no SHA-256')
  put('keys.yaml', `v: 1\nkeys:\n${first.line}\n`)
  await eventually(async () => expect(await reloads('applied')).toBe(before.applied + 1))
})

test('client commands reach the API over TLS with --ca, --cert and --key-file, and say what is missing', async () => {
  put('acme.key', `${first.key}\n`)
  const why = ['why', trace48fId, '--url', `https://${running.api}`]
  const trust = ['--ca', file('ca.pem')]
  const pair = ['--cert', file('client.pem'), '--cert-key', file('client.key')]
  const good = await command(...why, ...trust, ...pair, '--key-file', file('acme.key'))
  expect([good.code, good.stderr]).toEqual([1, ''])
  expect(good.stdout).toContain('UNKNOWN')
  const untrusted = await command(...why, ...pair, '--key-file', file('acme.key'))
  expect(untrusted.code).toBe(3)
  expect(untrusted.stderr).toContain('name that with --ca FILE')
  const stranger = await command(...why, ...trust, '--key-file', file('acme.key'))
  expect(stranger.code).toBe(3)
  expect(stranger.stderr).toContain('--cert FILE --cert-key FILE')
  const unknown = await command(...why, ...trust, ...pair, '--key', `${first.key}x`)
  expect(unknown.code).toBe(2)
  expect(unknown.stderr).toContain('UNAUTHENTICATED: send a known key')
  const missing = await command(...why, ...trust, ...pair, '--key-file', file('nothing'))
  expect(missing.code).toBe(2)
  expect(missing.stderr).toMatch(/--key-file \S+nothing cannot be read \(ENOENT\)/)
})

test('a certificate is renewed without a restart: open connections go on, new ones see the new one', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority.ca, ...client })
  expect((await ask({ key: first.key, agent })).status).toBe(200)
  // Under the same authority first, then under another, while clients trust both.
  const next = new TestAuthority('second authority')
  const both = `${authority.ca}${next.ca}`
  const before = await serialOf(running.api, both)
  putPair(authority)
  await eventually(async () => expect(await serialOf(running.api, both)).not.toBe(before))
  putPair(next)
  for (const address of [running.api, running.otlpGrpc, running.otlpHttp, running.metrics]) {
    await eventually(async () => expect(await issuerOf(address, both)).toBe('second authority'))
  }
  expect((await ask({ key: first.key, agent })).status).toBe(200)
  agent.destroy()
  expect((await ask({ key: first.key, ca: both })).status).toBe(200)
  await expect(ask({ key: first.key })).rejects.toThrow()
  put('ca.pem', both)
  const good = await command(
    'why',
    trace48fId,
    '--url',
    `https://${running.api}`,
    '--ca',
    file('ca.pem'),
    '--cert',
    file('client.pem'),
    '--cert-key',
    file('client.key'),
    '--key-file',
    file('acme.key'),
  )
  expect(good.code).toBe(1)
})

test('a renewal that cannot be used leaves the last good certificate in force, and is said', async () => {
  const trusted = readFileSync(file('ca.pem'), 'utf8')
  const before = await serialOf(running.api, trusted)
  const spent = authority.issue({ notBefore: daysFromNow(-2), notAfter: daysFromNow(-1) })
  secrets.push(spent.key)
  put('key.pem', spent.key)
  put('cert.pem', spent.cert)
  const refused = async () => {
    const { text } = await ask({ ca: trusted, address: running.metrics, path: '/metrics' })
    expect(text).toMatch(/winnow_reloads_total\{what="certificate",result="refused"\} [1-9]/)
    expect(running.stderr()).toContain('tls.reload_refused')
  }
  await eventually(refused)
  expect(await serialOf(running.api, trusted)).toBe(before)
  const { text } = await ask({ ca: trusted, address: running.metrics, path: '/metrics' })
  const [, seconds] = /expires_timestamp_seconds\{file="tls.certFile"\} (\S+)/.exec(text) ?? []
  expect(Number(seconds) * 1000).toBeGreaterThan(Date.now())
})

test('metrics and health need TLS but no client certificate: scrapers and probes have none', async () => {
  const ca = readFileSync(file('ca.pem'), 'utf8')
  for (const path of ['/metrics', '/healthz', '/readyz']) {
    const options = { ca, address: running.metrics, path, pair: { cert: '', key: '' } }
    expect((await ask(options)).status).toBe(200)
  }
  expect(await healthcheck(running.metrics)).toBe(0)
  expect(await healthcheck('127.0.0.1:1')).toBe(1)
})

test('an expired certificate, and keys that cannot be read, end the start with one line: key, path, remedy', async () => {
  // The files are as the refused renewal has left them.
  const expired = await command('up', '--config', file('winnow.yaml'), '--data', file('data'))
  expect(expired.code).toBe(2)
  expect(expired.stderr).toMatch(
    /^winnow: \[CONFIG_INVALID\] tls\.certFile \S+cert\.pem expired at \S+Z; renew it\n$/,
  )
  put('winnow.yaml', JSON.stringify({ keysFile: file('none.yaml') }))
  const missing = await command('up', '--config', file('winnow.yaml'), '--data', file('data'))
  expect(missing.code).toBe(2)
  expect(missing.stderr).toMatch(
    /^winnow: \[CONFIG_INVALID\] keysFile \S+none\.yaml: cannot be read \(ENOENT\); name a file .+\n$/,
  )
})

test('nothing listens beyond this machine without keys; --insecure does, and warns', async () => {
  const open = ['--otlp-http', '0.0.0.0:0']
  const refused = await command('up', '--data', file('data'), ...open)
  expect(refused.code).toBe(2)
  expect(refused.stderr).toContain('otlpHttp is "0.0.0.0:0": without keys anybody there could')
  const insecure = await startWinnow({ args: [...open, '--insecure'] })
  expect(insecure.stderr()).toContain('winnow: INSECURE: otlpHttp 0.0.0.0: whoever reaches')
  expect(await insecure.stop()).toBe(0)
  insecure.clean()
  const keyed = await startWinnow({ args: [...open], env: { WINNOW_KEYS_FILE: file('keys.yaml') } })
  expect(keyed.stderr()).toContain('keys and data travel unencrypted; set tls.certFile')
  expect(await keyed.stop()).toBe(0)
  keyed.clean()
})

test('no key and no private key is in anything that was said: answers, metrics, logs, commands', () => {
  const everything = [...said, running.stderr()].join('\n')
  expect(everything).toContain('UNAUTHENTICATED')
  expect(secrets.length).toBeGreaterThan(5)
  for (const secret of secrets) {
    const body = secret.split('\n')[1] ?? secret
    expect(everything.includes(body === '' ? secret : body)).toBe(false)
  }
})

/** As the image runs it. */
async function healthcheck(address: string): Promise<number | null> {
  const path = resolve(import.meta.dirname, '../deploy/healthcheck.mjs')
  const child = spawn(process.execPath, [path], {
    env: { ...process.env, WINNOW_METRICS: address },
    stdio: 'ignore',
  })
  const [code] = await once(child, 'exit')
  return code
}

const daysFromNow = (days: number): Date => new Date(Date.now() + days * 86_400_000)

async function certificateOf(address: string, ca: string) {
  const [host = '', port] = address.split(':')
  const socket = connect({
    host,
    port: Number(port),
    ca,
    ...client,
    ALPNProtocols: ['h2', 'http/1.1'],
  })
  await once(socket, 'secureConnect')
  const certificate = socket.getPeerCertificate()
  socket.destroy()
  return certificate
}

const serialOf = async (address: string, ca: string): Promise<string> =>
  (await certificateOf(address, ca)).serialNumber

const issuerOf = async (address: string, ca: string): Promise<string> =>
  String((await certificateOf(address, ca)).issuer.CN)
