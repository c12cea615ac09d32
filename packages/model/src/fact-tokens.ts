import { idText } from './number-text.ts'

/**
 * What is said again and again in the JSON of facts, as one character each. No JSON text holds a
 * character below U+0020, so none can be mistaken for one of these.
 */
const phrases = [
  '',
  ',"roots":[',
  ',"errors":[',
  ',"outcomes":[',
  '{"spanId":',
  ',"spanId":',
  ',"parentId":',
  ',"service":',
  ',"name":',
  '{"name":',
  ',"startNs":"',
  '","durationMs":',
  ',"score":',
  ',"label":',
  ',"passed":',
  ',"extracted":',
  ',"supported":',
  ',"unsupported":',
  '',
  '',
  ',"services":[',
  ',"experiment":',
  ',"variant":',
] as const

export const factToken = {
  roots: '\x01',
  errors: '\x02',
  outcomes: '\x03',
  openSpanId: '\x04',
  spanId: '\x05',
  parentId: '\x06',
  service: '\x07',
  name: '\x08',
  openName: '\x09',
  startNs: '\x0a',
  durationMs: '\x0b',
  score: '\x0c',
  label: '\x0d',
  passed: '\x0e',
  extracted: '\x0f',
  supported: '\x10',
  unsupported: '\x11',
  /** The start of the whole slice. */
  sliceStart: '\x12',
  services: '\x14',
  experiment: '\x15',
  variant: '\x16',
} as const

const sliceStart = 0x12
/** Followed by two characters of seven bits: the id, as JSON, of a span by its number in the slice. */
const idOfSpan = 0x13
const spanNumbers = 1 << 14

/** The JSON of a span's id, or what stands for it. */
export function spanIdToken(span: number, hi: number, lo: number): string {
  if (span >= spanNumbers) return `"${idText(hi, lo)}"`
  return `\x13${String.fromCharCode(span & 127, span >> 7)}`
}

/** What a text of facts is about: the slice's spans by their number, and its start. */
export interface FactTextSource {
  /** The id as 16 hex digits; undefined: there is no such span. */
  idOf(span: number): string | undefined
  readonly startNs: string
}

/** The JSON that the text stands for; undefined where it stands for none. Without a source it names no span. */
export function expandFactText(
  text: string,
  source: FactTextSource | undefined,
): string | undefined {
  let json = ''
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code >= 0x20) continue
    if (from < at) json += text.slice(from, at)
    if (code === idOfSpan) {
      if (at + 2 >= text.length) return undefined
      const id = source?.idOf(text.charCodeAt(at + 1) | (text.charCodeAt(at + 2) << 7))
      if (id === undefined) return undefined
      json += `"${id}"`
      at += 2
    } else {
      const phrase = code === sliceStart ? source?.startNs : phrases[code]
      if (phrase === undefined || phrase === '') return undefined
      json += phrase
    }
    from = at + 1
  }
  return from < text.length ? json + text.slice(from) : json
}
