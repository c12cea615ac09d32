import { alnum, classAt, letter } from './byte-class.ts'
import type { Match } from './finding.ts'

const authorityBytesMax = 1024
const endsAuthority = new Set(Buffer.from(' /?#"\'<>\\\r\n\t`|{}[]'))
const at = 0x40
const colon = 0x3a

/** Addresses that are keys by themselves: whoever has one may post. */
const hooks =
  /^(?:hooks\.slack\.com\/(?:services|workflows|triggers)\/|(?:ptb\.|canary\.)?discord(?:app)?\.com\/api\/webhooks\/|[a-z0-9-]+\.webhook\.office\.com\/webhookb2\/)[\w/@.-]{20,300}/i

/** What a URL whose colon is at `colonAt` gives away: its user and password, or its being a web hook. */
export function urlAt(
  bytes: Buffer,
  colonAt: number,
  start: number,
  end: number,
): Match | undefined {
  if (colonAt <= start || (classAt(bytes, colonAt - 1) & alnum) === 0) return undefined
  const from = colonAt + 3
  const most = Math.min(end, from + authorityBytesMax)
  let to = from
  let lastAt = -1
  let hasColon = false
  for (; to < most; to++) {
    const byte = bytes[to] as number
    if (byte === at) lastAt = to
    else if (byte === colon && lastAt < 0) hasColon = true
    // A password may hold a slash or a bracket that nobody encoded, as long as its @ comes before any blank.
    else if (endsAuthority.has(byte)) {
      if (!hasColon || lastAt >= 0 || !isInPassword(bytes, byte, to, most)) break
    }
  }
  if (lastAt > from && (hasColon || isLongUser(bytes, from, lastAt))) {
    const canonical = bytes.toString('utf8', from, lastAt)
    return { start: from, end: lastAt, kind: 'url_credentials', canonical }
  }
  const hook = hooks.exec(bytes.toString('latin1', from, Math.min(end, from + 400)))?.[0]
  return hook === undefined
    ? undefined
    : { start: from, end: from + hook.length, kind: 'secret', canonical: hook }
}

/** A colon that begins a port has digits behind it, a password as a rule something else. */
function isInPassword(bytes: Buffer, byte: number, to: number, most: number): boolean {
  if (byte !== 0x2f && byte !== 0x23 && byte !== 0x3f) return false
  const authority = bytes.toString('latin1', to - 1, to)
  if (/\d/.test(authority)) return false
  for (let i = to + 1; i < Math.min(most, to + 64); i++) {
    const next = bytes[i] as number
    if (next === at) return (classAt(bytes, i + 1) & alnum) !== 0
    if (next !== 0x2f && endsAuthority.has(next)) return false
    if (next === 0x2f && i === to + 1) return false
  }
  return false
}

/** `https://TOKEN@host`: a user alone is a name or a key, and both are somebody's. */
function isLongUser(bytes: Buffer, from: number, to: number): boolean {
  return to - from >= 3 && (classAt(bytes, from) & letter) !== 0
}
