import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KafkaBus, type KafkaBusOptions, type KafkaSasl } from '@winnow/bus'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { newSpec } from './kafka/clients.ts'
import { startKafka, type TestKafka } from './kafka.ts'
import { refuse } from './refuse.ts'

const user: KafkaSasl = { mechanism: 'plain', username: 'winnow', password: 'right' }
const folder = mkdtempSync(join(tmpdir(), 'winnow-tls-'))
let kafka: TestKafka | undefined
let why = ''
let ca = ''

beforeAll(async () => {
  if (spawnSync('keytool', ['-help']).status !== 0) {
    why = 'no `keytool` to make a certificate with'
    return
  }
  const keystore = join(folder, 'broker.p12')
  const password = 'changeit'
  ca = certificate(keystore, password)
  const started = await startKafka({ fresh: true, sasl: user, tls: { keystore, password } })
  if (started.server === undefined) why = started.why
  else kafka = started.server
})

afterAll(async () => {
  await kafka?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Writes and reads one record over every kind of connection: producer, fetch, group. */
async function roundTrip(options: Partial<KafkaBusOptions>): Promise<string> {
  const spec = newSpec(1)
  const limits = { openWaitMs: 1_500 }
  const bus = await KafkaBus.open({ brokers: [], specs: [spec], clientId: 't', limits, ...options })
  onTestFinished(() => bus.close())
  const offset = await bus.append(spec.name, 0, [{ value: Buffer.from('through') }])
  const seen = Promise.withResolvers<string>()
  const membership = bus.join(spec.name, 'g', async lease => {
    const { records } = await lease.read(1 << 20, 5_000)
    await lease.commit({ offset: 1, note: '' })
    seen.resolve(String(records[0]?.value))
  })
  const read = await Promise.race([seen.promise, membership.failed])
  await membership.close()
  expect(String((await bus.fetch(spec.name, 0, offset)).value)).toBe(read)
  return read
}

const running = (skip: (note: string) => unknown): TestKafka => kafka ?? refuse(skip, why)

test('SASL/PLAIN: the right password goes through', async ({ skip }) => {
  const brokers = [running(skip).saslBroker ?? '']
  expect(await roundTrip({ brokers, sasl: user })).toBe('through')
})

test('SASL: a wrong password, a mechanism the broker lacks and none at all name the key', async ({
  skip,
}) => {
  const brokers = [running(skip).saslBroker ?? '']
  for (const sasl of [
    { ...user, password: 'wrong' },
    { ...user, mechanism: 'scram-sha-512' as const },
  ]) {
    const wrong = roundTrip({ brokers, sasl })
    await expect(wrong).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(wrong).rejects.toThrow(
      /correct `kafka\.saslMechanism`, `kafka\.saslUsername` or `kafka\.saslPassword`/,
    )
  }
  const none = roundTrip({ brokers })
  await expect(none).rejects.toThrow(
    /BUS_UNAVAILABLE.*correct `bus`, `kafka\.tls` and `kafka\.sasl…`/,
  )
})

test('TLS: a broker whose certificate is trusted goes through', async ({ skip }) => {
  const brokers = [running(skip).tlsBroker ?? '']
  expect(await roundTrip({ brokers, tls: { ca } })).toBe('through')
})

test('TLS: an unknown certificate and a plain listener name the key', async ({ skip }) => {
  const { tlsBroker = '', broker } = running(skip)
  const unknown = roundTrip({ brokers: [tlsBroker], tls: true })
  await expect(unknown).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await expect(unknown).rejects.toThrow(/correct `kafka\.tls`.*`kafka\.caFile`/)
  const plain = roundTrip({ brokers: [broker], tls: { ca } })
  await expect(plain).rejects.toThrow(/`kafka\.tls`/)
  const missing = roundTrip({ brokers: [tlsBroker] })
  await expect(missing).rejects.toThrow(
    /BUS_UNAVAILABLE.*correct `bus`, `kafka\.tls` and `kafka\.sasl…`/,
  )
})

test('nobody at the address: BUS_UNAVAILABLE names the brokers and the keys', async () => {
  const nobody = roundTrip({ brokers: ['127.0.0.1:1'] })
  await expect(nobody).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
  await expect(nobody).rejects.toThrow(/127\.0\.0\.1:1.*start a broker there, or correct `bus`/)
})

/** A key store for 127.0.0.1 that is its own authority, and that authority as PEM. */
function certificate(keystore: string, password: string): string {
  const store = ['-keystore', keystore, '-storetype', 'PKCS12', '-storepass', password]
  const name = ['-alias', 'broker', '-dname', 'CN=127.0.0.1', '-ext', 'SAN=ip:127.0.0.1']
  execFileSync('keytool', ['-genkeypair', '-keyalg', 'EC', ...name, ...store], { stdio: 'ignore' })
  const pem = join(folder, 'ca.pem')
  execFileSync('keytool', ['-exportcert', '-rfc', '-alias', 'broker', '-file', pem, ...store], {
    stdio: 'ignore',
  })
  return readFileSync(pem, 'utf8')
}
