import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { NativeServer } from '../native-server.ts'
import { freePort } from '../ports.ts'
import { refuse } from '../refuse.ts'
import { fetchSecureJars, hasMaven, nodeCommand, secureVersion } from './jars.ts'
import { findJdk } from './java.ts'

/** A node with the security plug-in: TLS, users and roles. */
export interface SecureOpenSearch {
  /** `https://127.0.0.1:port`. */
  readonly url: string
  /** PEM of the authority that signed its certificate. */
  readonly ca: string
  /** As the plug-in's administrator, which every installation has to begin with. */
  ask(method: string, path: string, body?: object): Promise<number>
}

/** The newest release for which the plug-in is published beside all modules; ended with the test. */
export async function secureOpenSearchForTest(
  skip: (note: string) => unknown,
): Promise<SecureOpenSearch> {
  const jdk = findJdk(11)
  if (jdk === undefined || !hasMaven()) return refuse(skip, 'needs a JDK 11 or newer, and mvn')
  const { jars, plugin } = await fetchSecureJars(jdk)
  const folder = mkdtempSync(join(tmpdir(), 'winnow-opensearch-secure-'))
  const config = join(folder, 'config')
  mkdirSync(join(folder, 'plugins'), { recursive: true })
  cpSync(plugin, join(folder, 'plugins', 'opensearch-security'), { recursive: true })
  cpSync(join(plugin, 'config'), join(config, 'opensearch-security'), { recursive: true })
  makeCertificates(config)
  const port = await freePort()
  const ca = readFileSync(join(config, 'ca.pem'), 'utf8')
  const url = `https://127.0.0.1:${port}`
  const ask: SecureOpenSearch['ask'] = (method, path, body) =>
    statusOf(`${url}${path}`, method, ca, body)
  const server = new NativeServer({
    name: `OpenSearch ${secureVersion} with security`,
    folder,
    command: async () => nodeCommand(jdk, jars, folder, { 'http.port': port, ...settings }),
    // Until the plug-in has made its own index it answers 503.
    isReady: async () => (await ask('GET', '/_cluster/health')) === 200,
  })
  onTestFinished(() => server.stop())
  await server.start()
  return { url, ca, ask }
}

const ssl = (layer: 'http' | 'transport') => ({
  [`plugins.security.ssl.${layer}.pemcert_filepath`]: 'node.pem',
  [`plugins.security.ssl.${layer}.pemkey_filepath`]: 'node.key',
  [`plugins.security.ssl.${layer}.pemtrustedcas_filepath`]: 'ca.pem',
})

const settings = {
  ...ssl('transport'),
  ...ssl('http'),
  'plugins.security.ssl.http.enabled': true,
  'plugins.security.ssl.transport.enforce_hostname_verification': false,
  'plugins.security.authcz.admin_dn': 'CN=admin',
  'plugins.security.nodes_dn': 'CN=node',
  'plugins.security.allow_default_init_securityindex': true,
  'plugins.security.allow_unsafe_democertificates': true,
  'plugins.security.restapi.roles_enabled': 'all_access',
  'plugins.security.audit.type': 'noop',
}

/** An authority, and what it signs for 127.0.0.1. */
function makeCertificates(folder: string): void {
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
  }
  const key = ['-newkey', 'rsa:2048', '-nodes']
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=authority')
  openssl('req', ...key, '-keyout', 'made.key', '-out', 'node.csr', '-subj', '/CN=node')
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2']
  openssl('x509', '-req', '-in', 'node.csr', ...signed, '-extfile', 'names', '-out', 'node.pem')
  // The plug-in reads PKCS8 alone.
  openssl('pkcs8', '-topk8', '-nocrypt', '-in', 'made.key', '-out', 'node.key')
}

function statusOf(url: string, method: string, ca: string, body?: object): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' }
    const asked = request(url, { method, ca, auth: 'admin:admin', headers, timeout: 30_000 })
    asked.on('timeout', () => asked.destroy(new Error('timeout')))
    asked.on('error', reject)
    asked.on('response', reply => {
      reply.resume().on('end', () => resolve(reply.statusCode ?? 0))
    })
    asked.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
