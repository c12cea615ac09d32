import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Certificates {
  /** Paths of PEM files. */
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** An authority, and one certificate of it for 127.0.0.1 that both sides may show; by openssl, for a day. */
export function makeCertificates(folder: string): Certificates {
  const path = (name: string): string => join(folder, name)
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { stdio: 'ignore' })
  }
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(
    ...['req', '-x509', ...fresh, '-days', '1', '-subj', '/CN=test authority'],
    ...['-keyout', path('ca.key'), '-out', path('ca.pem')],
  )
  openssl(
    ...['req', ...fresh, '-subj', '/CN=127.0.0.1'],
    ...['-keyout', path('server.key'), '-out', path('server.csr')],
  )
  writeFileSync(path('names'), 'subjectAltName=IP:127.0.0.1')
  openssl(
    ...['x509', '-req', '-days', '1', '-in', path('server.csr'), '-extfile', path('names')],
    ...['-CA', path('ca.pem'), '-CAkey', path('ca.key'), '-CAcreateserial'],
    ...['-out', path('server.pem')],
  )
  return { ca: path('ca.pem'), cert: path('server.pem'), key: path('server.key') }
}
