import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PipelineError, systemClock } from '@winnow/runtime'
import { MemoryBlobStore } from '@winnow/storage'
import { TestAuthority } from '@winnow/testing'
import { expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../program-config.ts'
import { certificateFinding } from './certificate-checks.ts'
import { clockFinding, clockOffsetMaxMs, clockOffsetMs } from './clock-check.ts'
import { doctorText } from './doctor-command.ts'
import { examine, failed, ok, warning } from './finding.ts'
import { hostChecks } from './host-checks.ts'
import { probeBlobs } from './store-checks.ts'

const configOf = (env: Record<string, string>) =>
  loadConfig({ env, options: {}, readFile: () => '' })

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'winnow-doctor-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

test('who does not answer is said to be silent, and holds nobody up', async () => {
  const findings = await examine(
    [
      { key: 'hot', look: () => new Promise(() => {}) },
      { key: 'bus', look: async () => [ok('bus', 'there')] },
    ],
    20,
  )
  expect(findings).toMatchObject([
    { key: 'hot', status: 'failed', found: 'no answer within 0.02 s' },
    { key: 'bus', status: 'ok' },
  ])
})

test('an error is a finding: ours without its code, any other with its message', async () => {
  const look = (error: Error) => async () => {
    throw error
  }
  const findings = await examine([
    { key: 'bus', look: look(new PipelineError('BUS_UNAVAILABLE', 'nobody there; start one')) },
    { key: 'hot', look: look(new Error('broken')) },
  ])
  expect(findings.map(({ found }) => found)).toEqual(['nobody there; start one', 'broken'])
})

test('a clock is judged by how far it is off at least: at each limit not yet', () => {
  const status = (serverMs: number, stepMs = 0) =>
    clockFinding('blobs', { serverMs, askedMs: 1e6, answeredMs: 1e6 + 100, stepMs }).status
  expect(status(1e6 + 50)).toBe('ok')
  expect(status(1e6 + 100 + clockOffsetMs)).toBe('ok')
  expect(status(1e6 + 101 + clockOffsetMs)).toBe('warning')
  expect(status(1e6 - clockOffsetMs)).toBe('ok')
  expect(status(1e6 - clockOffsetMs - 1)).toBe('warning')
  expect(status(1e6 - clockOffsetMs - 1000, 1000)).toBe('ok')
  expect(status(1e6 + 100 + clockOffsetMaxMs)).toBe('warning')
  expect(status(1e6 + 101 + clockOffsetMaxMs)).toBe('failed')
})

test('a line each: mark, key, what was found and the remedy, then how many are not well', () => {
  const findings = [
    ok('bus', 'there'),
    warning('policy', 'old', 'renew it'),
    failed('hot', 'gone\n  for good', 'start it'),
  ]
  expect(doctorText(findings).split('\n')).toEqual([
    '✓ bus     there',
    '! policy  old; renew it',
    '✗ hot     gone for good; start it',
    '1 wrong, 1 to look at',
  ])
})

test('a port in use, a policy with mistakes and a file for a folder are found', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  onTestFinished(() => {
    server.close()
  })
  const { port } = server.address() as { port: number }
  const inside = folder()
  const file = join(inside, 'policy.yaml')
  writeFileSync(file, 'version: a\nrules: 5\n')
  const config = configOf({
    WINNOW_API: `127.0.0.1:${port}`,
    WINNOW_POLICY: file,
    WINNOW_DATA: join(file, 'data'),
  })
  const findings = await examine(hostChecks(config))
  const of = (key: string) => findings.find(finding => finding.key === key)
  expect(of('api')).toMatchObject({ status: 'warning' })
  expect(of('api')?.found).toContain(`127.0.0.1:${port} is in use`)
  expect(of('policy')).toMatchObject({ status: 'failed' })
  expect(of('policy')?.found).toContain(`${file}: `)
  expect(of('data')).toMatchObject({ status: 'failed', found: `${file} is a file` })
})

test('a store that creates a key twice is found out, and nothing is left in it', async () => {
  const good = new MemoryBlobStore(systemClock)
  expect(await probeBlobs('memory', good)).toMatchObject([{ status: 'ok' }])
  const keys = await Array.fromAsync(good.list(''))
  expect(keys).toEqual([])
  const careless = new MemoryBlobStore(systemClock)
  careless.create = async (key, bytes) => {
    await careless.delete(key)
    return MemoryBlobStore.prototype.create.call(careless, key, bytes)
  }
  expect(await probeBlobs('memory', careless)).toMatchObject([
    { status: 'failed', found: 'memory made an object twice' },
  ])
  expect(await Array.fromAsync(careless.list(''))).toEqual([])
})

test('of the authorities in a file one that is valid is enough, a certificate of our own has to be', () => {
  const authority = new TestAuthority()
  const day = 86_400_000
  const old = { notBefore: new Date(Date.now() - 9 * day), notAfter: new Date(Date.now() - day) }
  const good = authority.issue({ notAfter: new Date(Date.now() + 400 * day) }).cert
  const bad = authority.issue(old).cert
  const path = join(folder(), 'ca.pem')
  const statusOf = (key: string, ...pems: string[]) => {
    writeFileSync(path, pems.join('\n'))
    return certificateFinding(key, path).status
  }
  expect(statusOf('kafka.caFile', good, good)).toBe('ok')
  expect(statusOf('kafka.caFile', good, bad)).toBe('warning')
  expect(statusOf('kafka.caFile', bad, bad)).toBe('failed')
  expect(statusOf('tls.certFile', good, bad)).toBe('failed')
})
