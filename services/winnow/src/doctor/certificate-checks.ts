import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { systemClock } from '@winnow/runtime'
import { type Config, configKeys } from '../program-config.ts'
import { type Check, type Finding, failed, ok, warning } from './finding.ts'

const dayMs = 86_400_000
/** So long before its end a certificate is spoken of. */
export const expiryNoticeMs = 14 * dayMs

/** Every certificate that the configuration names: `…caFile` and `…certFile`, with `…keyFile` beside. */
export function certificateChecks(config: Config): Check[] {
  return configKeys()
    .filter(key => /(^|\.)(ca|cert)File$/.test(key))
    .flatMap(key => {
      const path = textAt(config, key)
      if (path === undefined) return []
      const keyPath = textAt(config, key.replace(/certFile$/, 'keyFile'))
      const ownKey = key.endsWith('certFile') ? keyPath : undefined
      return [{ key, look: async () => [certificateFinding(key, path, ownKey)] }]
    })
}

/** The first of the file that will expire, or has; and whether the private key is the certificate's. */
export function certificateFinding(key: string, path: string, keyPath?: string): Finding {
  const found = certificatesIn(readFileSync(path, 'utf8'))
  const [own] = found
  if (own === undefined) {
    return failed(key, `${path} holds no certificate in PEM`, 'name a file with BEGIN CERTIFICATE')
  }
  const nowMs = systemClock.nowMs()
  const isHeld = key.endsWith('caFile')
  // Of authorities one is enough: a bundle holds those of years.
  const valid = found.filter(one => Date.parse(one.validTo) > nowMs)
  if (isHeld && valid.length > 0 && valid.length < found.length) {
    const what = `of the ${found.length} certificates of ${path} ${found.length - valid.length} have expired`
    return warning(key, what, 'take them out, if nobody is known by them')
  }
  const untilMs = Math.min(...found.map(one => Date.parse(one.validTo)))
  const fromMs = Math.max(...found.map(one => Date.parse(one.validFrom)))
  const until = `${path} is valid until ${new Date(untilMs).toISOString().slice(0, 16)}Z`
  if (untilMs <= nowMs) {
    const since = new Date(untilMs).toISOString().slice(0, 16)
    return failed(key, `${path} has expired at ${since}Z`, 'put a new certificate there')
  }
  if (fromMs > nowMs) {
    const from = new Date(fromMs).toISOString().slice(0, 16)
    return failed(key, `${path} is valid from ${from}Z on`, 'set the clock, or wait')
  }
  if (keyPath !== undefined && !own.checkPrivateKey(createPrivateKey(readFileSync(keyPath)))) {
    return failed(key, `${keyPath} is not the key of ${path}`, 'name those that were made together')
  }
  if (untilMs - nowMs < expiryNoticeMs) return warning(key, until, 'put a new certificate there')
  return ok(key, until)
}

function certificatesIn(text: string): X509Certificate[] {
  const pems = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return pems.map(pem => new X509Certificate(pem))
}

function textAt(config: Config, path: string): string | undefined {
  let at: unknown = config
  for (const part of path.split('.')) at = (at as Record<string, unknown> | undefined)?.[part]
  return typeof at === 'string' ? at : undefined
}
