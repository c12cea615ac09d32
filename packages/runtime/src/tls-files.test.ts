import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestAuthority } from '@winnow/testing'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from './clock.ts'
import { createLog } from './log.ts'
import { Metrics } from './metrics.ts'
import { pemBytesMax, TlsFiles, tlsConfigSchema } from './tls-files.ts'

const authority = new TestAuthority()
const good = authority.issue()
const dayMs = 86_400_000
const inDays = (days: number): Date => new Date(Date.now() + days * dayMs)

function filesOf(given: { cert?: string; key?: string; clientCa?: string } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-tls-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const certFile = join(folder, 'cert.pem')
  const keyFile = join(folder, 'key.pem')
  const clientCaFile = join(folder, 'clients.pem')
  writeFileSync(certFile, given.cert ?? good.cert)
  writeFileSync(keyFile, given.key ?? good.key)
  if (given.clientCa !== undefined) writeFileSync(clientCaFile, given.clientCa)
  const lines: string[] = []
  const metrics = new Metrics()
  const open = () => {
    const files = TlsFiles.open({
      tls: tlsConfigSchema.parse({
        certFile,
        keyFile,
        ...(given.clientCa !== undefined && { clientCaFile }),
      }),
      clock: systemClock,
      log: createLog(systemClock, line => lines.push(line)),
      metrics,
    })
    if (files === undefined) throw new Error('there is a certificate')
    onTestFinished(() => files.close())
    return files
  }
  return { open, certFile, keyFile, clientCaFile, lines, metrics }
}

test('without a certificate there is no TLS, and half a pair is a mistake', () => {
  const log = createLog(systemClock, () => {})
  expect(TlsFiles.open({ tls: tlsConfigSchema.parse({}), clock: systemClock, log })).toBeUndefined()
  expect(tlsConfigSchema.parse(undefined)).toEqual({ minVersion: 'TLSv1.2' })
  for (const half of [{ certFile: 'a' }, { keyFile: 'a' }, { clientCaFile: 'a' }]) {
    expect(tlsConfigSchema.safeParse(half).success).toBe(false)
  }
})

test('what cannot be used at the start is one line with key, path and remedy', () => {
  const expired = authority.issue({ notBefore: inDays(-2), notAfter: inDays(-1) })
  const early = authority.issue({ notBefore: inDays(1), notAfter: inDays(2) })
  for (const [given, message] of [
    [expired, /tls\.certFile \S+cert\.pem expired at \S+Z; renew it$/],
    [early, /tls\.certFile \S+cert\.pem is valid from \S+Z; check the clock of this machine$/],
    [{ cert: good.key }, /tls\.certFile \S+cert\.pem is not a certificate in PEM/],
    [{ key: good.cert }, /tls\.keyFile \S+key\.pem is not a private key without a passphrase/],
    [{ key: authority.issue().key }, /tls\.keyFile \S+key\.pem is not the key of tls\.certFile/],
    [{ clientCa: 'none' }, /tls\.clientCaFile \S+clients\.pem is not a certificate in PEM/],
    [{ cert: ' '.repeat(pemBytesMax + 1) }, /tls\.certFile \S+cert\.pem has more than 1048576 byt/],
    [{ cert: ' '.repeat(pemBytesMax) }, /tls\.certFile \S+cert\.pem is not a certificate in PEM/],
  ] as const) {
    const { open } = filesOf(given)
    expect(open).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    expect(open).toThrow(message)
  }
  const { open, certFile } = filesOf()
  rmSync(certFile)
  expect(open).toThrow(/tls\.certFile \S+cert\.pem cannot be read \(ENOENT\); name a PEM file/)
})

test('a renewed pair holds once both files are there, whichever comes first', async () => {
  const { open, certFile, keyFile, lines, metrics } = filesOf()
  const files = open()
  let renewals = 0
  files.onRenewed(() => renewals++)
  const next = authority.issue({ notAfter: inDays(30) })
  writeFileSync(certFile, next.cert)
  await files.poll()
  expect(String(files.context.cert)).toBe(good.cert)
  expect(renewals).toBe(0)
  expect(lines.join('')).toContain('tls.reload_refused')
  writeFileSync(keyFile, next.key)
  await files.poll()
  expect(String(files.context.cert)).toBe(next.cert)
  expect(renewals).toBe(1)
  const text = await metrics.text()
  const seconds = Number(/timestamp_seconds\{file="tls.certFile"\} (\S+)/.exec(text)?.[1])
  expect(Math.abs(seconds - inDays(30).getTime() / 1000)).toBeLessThan(120)
  expect(text).toContain('winnow_reloads_total{what="certificate",result="refused"} 1')
  expect(text).toContain('winnow_reloads_total{what="certificate",result="applied"} 1')
})

test('a renewal that has run out, or is gone, leaves the last good certificate in force', async () => {
  const { open, certFile, keyFile, lines } = filesOf()
  const files = open()
  const expired = authority.issue({ notBefore: inDays(-2), notAfter: inDays(-1) })
  writeFileSync(certFile, expired.cert)
  writeFileSync(keyFile, expired.key)
  await files.poll()
  expect(String(files.context.cert)).toBe(good.cert)
  expect(lines.join('')).toContain('expired at')
  rmSync(certFile)
  await files.poll()
  expect(String(files.context.cert)).toBe(good.cert)
  expect(lines.join('')).not.toContain('PRIVATE KEY')
})
