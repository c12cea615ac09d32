import { isIPv6 } from 'node:net'
import { alnum, beginsWord, classAt, isEscapeLetter } from './byte-class.ts'
import type { Match } from './finding.ts'

const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const v4 = new RegExp(`${octet}(?:\\.${octet}){3}(?!\\d|\\.\\d|-?[A-Za-z_])`, 'y')
/** Words in front of which four numbers are no address, with what JSON and code have between. */
const versioned = /(?:version|release|section|chapter|clause|build|revision|\bv)[\\"' .:=(]{0,6}$/i
/** Software that is built into other software: it has versions and no address, as a browser in a log line may. */
const software =
  /(?<![\w.-])(?:openssl|libressl|boringssl|openssh|glibc|zlib|openjdk|jdk|jre|jvm|log4j|netty|protobuf|cuda|sdk|firmware|dll|python|perl|php|rails|dotnet)[- ]$/i
const smallNumbers = /^\d{1,2}(?:\.\d{1,2}){3}$/
/** `Chrome/120.0.6099.1`; with a slash, a dot or a colon before it the name is part of a path or a host. */
const product =
  /(?:^|[^\w/.:@\\-])(?!(?:tcp|udp|ip|ipv4|hosts?|clients?|peers?|proxy|https?)\/)[A-Za-z][\w+-]*\/$/i

/** Addresses that name nobody: this machine, any machine, all machines, masks, and the first of a network. */
const nobody = /^(?:127\.|0\.|255\.|\d+\.0\.0\.0$)/

export function ipv4In(text: string, at: number): { end: number; canonical: string } | undefined {
  v4.lastIndex = at
  const whole = v4.exec(text)?.[0]
  if (whole === undefined || nobody.test(whole)) return undefined
  const front = text.slice(0, at)
  if (versioned.test(front) || (front.endsWith('/') && product.test(front))) return undefined
  if (smallNumbers.test(whole) && software.test(front)) return undefined
  return { end: at + whole.length, canonical: whole }
}

const colon = 0x3a
const addressBytesMax = 45

/** An IPv6 address around the colon at `at`. */
export function ipv6At(bytes: Buffer, at: number, start: number, end: number): Match | undefined {
  let from = at
  while (from > start && at - from < 5 && isHexOrColon(bytes[from - 1] as number)) from--
  if (from > start && bytes[from - 1] === 0x5c && isEscapeLetter(bytes[from] as number)) from++
  if (!beginsWord(bytes, from, start)) return undefined
  let to = at
  let colons = 0
  while (to < end && to - from <= addressBytesMax) {
    const byte = bytes[to] as number
    if (byte === colon) colons++
    else if (!isHexOrColon(byte) && byte !== 0x2e) break
    to++
  }
  if (colons < 2 || (to < end && (classAt(bytes, to) & alnum) !== 0)) return undefined
  while (to > at && (bytes[to - 1] === 0x2e || endsInColon(bytes, from, to))) to--
  const text = bytes.toString('latin1', from, to).toLowerCase()
  if (text.length < 6 || !isIPv6(text) || !/\d/.test(text) || /^[0:]*:0*[01]?$/.test(text)) {
    return undefined
  }
  return { start: from, end: to, kind: 'ip', canonical: text }
}

/** `fe80::1:` ends a sentence; `fe80::` is an address. */
function endsInColon(bytes: Buffer, from: number, to: number): boolean {
  return bytes[to - 1] === colon && to - 2 > from && bytes[to - 2] !== colon
}

function isHexOrColon(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x3a) ||
    (byte >= 0x41 && byte <= 0x46) ||
    (byte >= 0x61 && byte <= 0x66)
  )
}
