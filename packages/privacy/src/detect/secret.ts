import { alnum, beginsWord, byteClass, contextOf, isEscapeLetter, textOf } from './byte-class.ts'
import type { Match } from './finding.ts'

/** Bytes in front of an anchor that a prefix may have, and those behind that a secret may have. */
const prefixBytesMax = 24
const secretBytesMax = 512
const keyBlockBytesMax = 16_384

/**
 * Formats of vendors by the byte that gives them away, with the text in front of it. Prefixes alone: a
 * vendor whose keys are hex without a mark is found by the word in front of them, see {@link assignedAt}.
 */
const formats: Readonly<Record<string, readonly (readonly [front: RegExp, whole: RegExp])[]>> = {
  '-': [
    [/sk$/, /sk-(?:proj-|ant-|or-|lf-|svcacct-|admin-)?[A-Za-z0-9_-]{20,400}/y],
    [/xox[abeoprs]$/, /xox[abeoprs]-[A-Za-z0-9-]{10,300}/y],
    [/xapp$/, /xapp-[A-Za-z0-9-]{20,300}/y],
    [/gl(?:pat|dt|rt|cbt|ptt|ft|soat)$/, /gl[a-z]{2,4}-[A-Za-z0-9_-]{20,120}/y],
    [/pypi$/, /pypi-[A-Za-z0-9_-]{50,400}/y],
    [/sq0[a-z]{3}$/, /sq0[a-z]{3}-[A-Za-z0-9_-]{22,60}/y],
    [/GOCSPX$/, /GOCSPX-[A-Za-z0-9_-]{20,60}/y],
    [/key$/, /key-[0-9a-f]{32}/y],
    [/nvapi$/, /nvapi-[A-Za-z0-9_-]{40,120}/y],
    [/pplx$/, /pplx-[A-Za-z0-9]{40,80}/y],
    [/tvly$/, /tvly-[A-Za-z0-9-]{20,80}/y],
    [/PMAK$/, /PMAK-[a-f0-9]{24}-[a-f0-9]{34}/y],
    [/AGE-SECRET-KEY$/, /AGE-SECRET-KEY-1[A-Z0-9]{58}/y],
  ],
  _: [
    [/gh[pousr]$/, /gh[pousr]_[A-Za-z0-9]{36,255}/y],
    [/github_pat$/, /github_pat_[A-Za-z0-9_]{40,255}/y],
    [/(?:sk|rk|pk)_(?:live|test)$/, /[srp]k_(?:live|test)_[A-Za-z0-9]{16,247}/y],
    [/whsec$/, /whsec_[A-Za-z0-9+/=]{24,120}/y],
    [/npm$/, /npm_[A-Za-z0-9]{36}/y],
    [/hf$/, /hf_[A-Za-z0-9]{30,60}/y],
    [/do[opr]_v1$/, /do[opr]_v1_[a-f0-9]{64}/y],
    [/shp(?:at|ca|pa|ss)$/, /shp[a-z]{2}_[A-Fa-f0-9]{32}/y],
    [/gsk$/, /gsk_[A-Za-z0-9]{40,80}/y],
    [/r8$/, /r8_[A-Za-z0-9]{30,60}/y],
    [/lin_api$/, /lin_api_[A-Za-z0-9]{32,60}/y],
    [/(?:secret|ntn)$/, /(?:secret|ntn)_[A-Za-z0-9]{40,60}/y],
    [/pscale_[a-z]{2,5}$/, /pscale_[a-z]{2,5}_[A-Za-z0-9_.-]{32,80}/y],
    [/gl(?:c|sa)$/, /gl(?:c|sa)_[A-Za-z0-9+/=_]{32,300}/y],
    [/sntrys$/, /sntrys_[A-Za-z0-9+/=_-]{40,400}/y],
    [/dckr_pat$/, /dckr_pat_[A-Za-z0-9_-]{20,60}/y],
    [/winnow$/, /winnow_[A-Za-z0-9_-]{43}/y],
  ],
  '.': [
    [/SG$/, /SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}/y],
    [/ya29$/, /ya29\.[A-Za-z0-9_-]{20,400}/y],
    [/hv[sbr]$/, /hv[sbr]\.[A-Za-z0-9_-]{20,300}/y],
  ],
  I: [
    [/A[KSB]$/, /A[KSB]IA[A-Z0-9]{16}/y],
    [/A$/, /AIza[A-Za-z0-9_-]{35}/y],
  ],
  ':': [[/\d{8,10}$/, /\d{8,10}:AA[A-Za-z0-9_-]{32,40}/y]],
}

/** The secret that the byte at `at` is part of the mark of. */
export function secretAt(bytes: Buffer, at: number, start: number, end: number): Match | undefined {
  const from = Math.max(start, at - prefixBytesMax)
  const front = textOf(bytes, from, at)
  const rows = formats[String.fromCharCode(bytes[at] as number)] ?? []
  for (const [mark, whole] of rows) {
    const index = front.search(mark)
    if (index < 0 || !beginsWord(bytes, from + index, start)) continue
    const text = textOf(bytes, from, Math.min(end, at + secretBytesMax))
    whole.lastIndex = index
    const found = whole.exec(text)?.[0]
    if (found === undefined) continue
    const begin = from + index
    return { start: begin, end: begin + found.length, kind: 'secret', canonical: found }
  }
  return undefined
}

const keyBlock = /-----BEGIN (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----/y

/**
 * A private key in PEM, whole; without an end as far as its lines go, up to 16 KiB. The mark alone, as prose
 * quotes it, is none: nothing that no key has belongs to it.
 */
export function keyBlockAt(bytes: Buffer, at: number, end: number): Match | undefined {
  keyBlock.lastIndex = 0
  const head = keyBlock.exec(textOf(bytes, at, Math.min(end, at + 80)))?.[0]
  if (head === undefined) return undefined
  const most = Math.min(end, at + keyBlockBytesMax)
  const stop = keyBodyEnd(bytes, at + head.length, most, end)
  return stop < 0
    ? undefined
    : { start: at, end: stop, kind: 'secret', canonical: textOf(bytes, at, stop) }
}

/** Letters of base64 that no word has in a row: a line of a key. */
const keyLineCharsMin = 16
const keyHeader = /[A-Za-z][A-Za-z-]{2,19}: [^\\"\r\n]{1,100}(?=\\|[\r\n])/y
const keyTail = /-----END [A-Z0-9 ]{5,45}-----/y

/** -1: no line of a key follows. */
function keyBodyEnd(bytes: Buffer, from: number, most: number, end: number): number {
  let stop = -1
  let at = from
  for (;;) {
    const line = afterLineEnd(bytes, at, most)
    at = line
    while (at < most && isKeyByte(bytes[at] as number)) at++
    const next = at < end ? bytes[at] : undefined
    // The last line is as short as may be: the mark of the end, that of the text or of its string is behind it.
    const isLast = next === undefined || next === quote || next === backslash
    if (at - line >= keyLineCharsMin || (at > line && stop >= 0 && isLast)) {
      stop = at
      continue
    }
    if (at > line && stop >= 0 && bytes[afterLineEnd(bytes, at, most)] === dash) {
      at = afterLineEnd(bytes, at, most)
    } else at = line
    const text = textOf(bytes, at, Math.min(most, at + 130))
    keyTail.lastIndex = 0
    const tail = stop < 0 ? undefined : keyTail.exec(text)?.[0]
    if (tail !== undefined) return at + tail.length
    keyHeader.lastIndex = 0
    const header = stop < 0 && line > from ? keyHeader.exec(text)?.[0] : undefined
    if (header === undefined) return stop
    at += header.length
  }
}

const dash = 0x2d
const quote = 0x22
const backslash = 0x5c

/** Behind blanks and line ends, those of JSON too. */
function afterLineEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  for (; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)) continue
    if (byte !== backslash) break
    let last = at
    while (last + 1 < end && bytes[last + 1] === backslash) last++
    if (last + 1 >= end || !isEscapeLetter(bytes[last + 1] as number)) break
    at = last + 1
  }
  return at
}

function isKeyByte(byte: number): boolean {
  return (
    ((byteClass[byte] as number) & alnum) !== 0 || byte === 0x2b || byte === 0x2f || byte === 0x3d
  )
}

const bearer = /(?:bearer|(basic)):? {1,2}([A-Za-z0-9._~+/-]{12,4000}={0,2})/iy

/** What follows `Bearer` or `Basic` of an Authorization header. */
export function bearerAt(bytes: Buffer, at: number, start: number, end: number): Match | undefined {
  if (!beginsWord(bytes, at, start)) return undefined
  bearer.lastIndex = 0
  const found = bearer.exec(textOf(bytes, at, Math.min(end, at + 4100)))
  if (found === null) return undefined
  const [whole, basic, value = ''] = found
  // `Basic understanding of…` is prose.
  if (!isMixed(value) && (basic === undefined || !holdsPassword(value))) return undefined
  const stop = at + whole.length
  return { start: stop - value.length, end: stop, kind: 'secret', canonical: value }
}

/** `user:password`, which is what Basic has in base64. */
function holdsPassword(value: string): boolean {
  return /^[ -~]{1,200}:[ -~]{1,200}$/.test(Buffer.from(value, 'base64').toString('latin1'))
}

const secretName =
  /(?:^|[^A-Za-z])(?:[A-Za-z0-9]{1,20}[_-])*(?:password|passwd|pwd|passphrase|secret|client[_-]?secret|api[_-]?key|access[_-]?key|secret[_-]?key|account[_-]?key|shared[_-]?access[_-]?key|private[_-]?key|encryption[_-]?key|signing[_-]?key|(?:auth|access|refresh|id|session|bearer|api|bot)[_-]?token)[\\"' ]{0,4}$/i
/** Quotes, blanks and whole escapes: the letter of `\n` is not the first of the secret behind it. */
const assigned = /(?:["' ]|\\(?=\\)|\\[nrtbf"'/]){0,10}([^\s"'\\,;&<>{}()[\]]{8,512})/y
/** What stands for a secret and is none. */
const standIn = /^(?:process\.|os\.|env\.|\$|%|\*+$|x+$|https?:)|\.(?:env|get|config)\b/i

/** The value of `password=…`, `"api_key": "…"` and their like, behind the `=` or `:` at `at`. */
export function assignedAt(
  bytes: Buffer,
  at: number,
  start: number,
  end: number,
): Match | undefined {
  if (!mayNameSecret(bytes, at, start)) return undefined
  if (!secretName.test(contextOf(bytes, Math.max(start, at - 48), at))) return undefined
  assigned.lastIndex = 0
  const [whole, secret = ''] = assigned.exec(textOf(bytes, at + 1, Math.min(end, at + 560))) ?? []
  if (whole === undefined || standIn.test(secret) || !isMixed(secret)) return undefined
  const stop = at + 1 + whole.length
  return { start: stop - secret.length, end: stop, kind: 'secret', canonical: secret }
}

/** Names of secrets end in d, t, y, n or e; whatever else stands before a colon is passed at once. */
function mayNameSecret(bytes: Buffer, at: number, start: number): boolean {
  let before = at - 1
  while (before >= start && before > at - 5 && isQuoteOrSpace(bytes[before] as number)) before--
  if (before < start + 2) return false
  const last = (bytes[before] as number) | 0x20
  const prior = (bytes[before - 1] as number) | 0x20
  // …rd, …wd, …et, …ey, …en, …se
  if (last === 0x64) return prior === 0x72 || prior === 0x77
  if (last === 0x74 || last === 0x79 || last === 0x6e) return prior === 0x65
  return last === 0x65 && prior === 0x73
}

function isQuoteOrSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x22 || byte === 0x27 || byte === 0x5c
}

function isMixed(text: string): boolean {
  return /\d/.test(text) && /[A-Za-z]/.test(text)
}
