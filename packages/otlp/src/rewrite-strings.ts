// Hot: every field of every span that comes in passes here once.
import { anyValueDepthMax } from './otlp.ts'
import { RewriteEdits } from './rewrite-edits.ts'
import { plainValueAt, twoByteLength } from './scan-value.ts'
import { afterField, afterVarint, lengthAt, malformed, scanBytesMax, tagAt } from './wire-scan.ts'

/** Where a string stands, as far as its key does not say. */
export const textPlace = {
  /** A name, a key, an id, a version: what programs write. Also what a newer OTLP may hold. */
  name: 0,
  /** The value of an attribute, or of a list that is one; without a key the body of a log record. */
  value: 1,
  /** A status message, or a value in a map that is a value: what it is no list of keys says. */
  free: 2,
  /** As `value` or `free`, bytes. */
  bytes: 3,
} as const

export type TextPlace = (typeof textPlace)[keyof typeof textPlace]

/** Says what stands in the place of a string, if anything. Positions are those of `bytes`. */
export interface StringRewriter {
  /**
   * `bytes[start, end)` is a string, a byte field, or what a newer OTLP may hold; the key is that of the
   * attribute whose value it is (0, 0: none). Undefined: it stays.
   */
  rewrite(
    bytes: Buffer,
    start: number,
    end: number,
    keyStart: number,
    keyEnd: number,
    place: TextPlace,
  ): Uint8Array | undefined
  /** Whether everything under the attribute key `bytes[start, end)` is shown with that key, at whatever depth. */
  holdsSecret(bytes: Buffer, start: number, end: number): boolean
  /** After each ResourceSpans or ResourceLogs in which something was rewritten; its `service.name`, rewritten too. */
  rewrote(service: string): void
}

/** Messages of OTLP, as rows of the table below. */
const kind = {
  traces: 0,
  resourceSpans: 1,
  scopeSpans: 2,
  resource: 3,
  scope: 4,
  span: 5,
  event: 6,
  link: 7,
  status: 8,
  pair: 9,
  value: 10,
  array: 11,
  list: 12,
  entity: 13,
  logs: 14,
  resourceLogs: 15,
  scopeLogs: 16,
  logRecord: 17,
} as const

const unknown = 0
const text = 1
const id = 2
const key = 3
/** Of a value: a string, bytes. */
const said = 4
const binary = 5
/** What is no name and has no key. */
const free = 6
/** And from here on the kind of a message. */
const message = 8

/** By kind and field number, of length-delimited fields. */
const fieldsMax = 32
const actions = new Uint8Array(18 * fieldsMax)
function fields(of: number, rows: Readonly<Record<number, number>>): void {
  for (const [field, action] of Object.entries(rows))
    actions[of * fieldsMax + Number(field)] = action
}
fields(kind.traces, { 1: message + kind.resourceSpans })
fields(kind.resourceSpans, { 1: message + kind.resource, 2: message + kind.scopeSpans, 3: text })
fields(kind.scopeSpans, { 1: message + kind.scope, 2: message + kind.span, 3: text })
fields(kind.resource, { 1: message + kind.pair, 3: message + kind.entity })
fields(kind.scope, { 1: text, 2: text, 3: message + kind.pair })
fields(kind.span, {
  1: id,
  2: id,
  3: text,
  4: id,
  5: text,
  9: message + kind.pair,
  11: message + kind.event,
  13: message + kind.link,
  15: message + kind.status,
})
fields(kind.event, { 2: text, 3: message + kind.pair })
fields(kind.link, { 1: id, 2: id, 3: text, 4: message + kind.pair })
fields(kind.status, { 2: free })
fields(kind.pair, { 1: key, 2: message + kind.value })
fields(kind.value, { 1: said, 5: message + kind.array, 6: message + kind.list, 7: binary })
fields(kind.array, { 1: message + kind.value })
fields(kind.list, { 1: message + kind.pair })
fields(kind.entity, { 1: text, 2: text, 3: text, 4: text })
fields(kind.logs, { 1: message + kind.resourceLogs })
fields(kind.resourceLogs, { 1: message + kind.resource, 2: message + kind.scopeLogs, 3: text })
fields(kind.scopeLogs, { 1: message + kind.scope, 2: message + kind.logRecord, 3: text })
fields(kind.logRecord, {
  3: text,
  5: message + kind.value,
  6: message + kind.pair,
  9: id,
  10: id,
  12: text,
})

/** Longer ones are no ids; a span of such is refused, but a link or a parent is not. */
const idBytesMax = 16

/**
 * `TracesData` or `LogsData` with some of its strings replaced and every length around them right; the very
 * same buffer where none was. Whatever holds text is shown: names, attributes' keys and values at any
 * depth, events, links, trace states, messages, schema URLs, byte fields. A field that this OTLP does not know
 * and that a rewriter would change is left out whole. Throws PAYLOAD_INVALID for malformed bytes, PAYLOAD_TOO_LARGE above
 * `rewritesMax`.
 */
export function rewriteStrings(
  bytes: Buffer,
  signal: 'traces' | 'logs',
  rewriter: StringRewriter,
): Buffer {
  // Longer ones are refused by whoever scans them.
  if (bytes.length > scanBytesMax) return bytes
  const edits = new RewriteEdits(bytes)
  new Walk(bytes, rewriter, edits).walk(
    signal === 'traces' ? kind.traces : kind.logs,
    0,
    bytes.length,
    0,
  )
  return edits.applied()
}

const doubleTag = 0x21
const boolTag = 0x10
const intTag = 0x18
/** One of ten bytes may have too many bits: the walk looks at it. */
const varintBytesMax = 9

/** Whether a value is one number and nothing else, as most are: there is no text in it. */
function isNumber(bytes: Buffer, start: number, stop: number): boolean {
  const tag = bytes[start]
  if (tag === doubleTag) return stop - start === 9
  if ((tag !== intTag && tag !== boolTag) || stop - start > 1 + varintBytesMax) return false
  let at = start + 1
  while (at < stop && (bytes[at] as number) > 127) at++
  return at === stop - 1
}

/** Where the text of a value begins that is one string and nothing else; -1: it is not. */
function wholeTextAt(bytes: Buffer, start: number, stop: number): number {
  if (stop - start < 3 || bytes[start] !== textTag) return -1
  const length = bytes[start + 1] as number
  if (length < 128) return start + 2 + length === stop ? start + 2 : -1
  return start + 3 + twoByteLength(bytes, start + 1) === stop ? start + 3 : -1
}

/** Field 1, length-delimited: of a pair its key, of a value its string. */
const keyTag = 10
const textTag = 10

const serviceName = Buffer.from('service.name')

class Walk {
  readonly #bytes: Buffer
  readonly #rewriter: StringRewriter
  readonly #edits: RewriteEdits
  #keyStart = 0
  #keyEnd = 0
  /** Under the key of a secret keys of inner pairs count for nothing. */
  #isKeyFixed = false
  #values = 0
  #lists = 0
  #inResource = false
  #service = ''

  constructor(bytes: Buffer, rewriter: StringRewriter, edits: RewriteEdits) {
    this.#bytes = bytes
    this.#rewriter = rewriter
    this.#edits = edits
  }

  /** `level` is the number of messages around. */
  walk(of: number, from: number, end: number, level: number): void {
    const bytes = this.#bytes
    const row = of * fieldsMax
    for (let at = from; at < end; ) {
      const fieldAt = at
      const tag = tagAt(bytes, at, end)
      at = afterVarint(bytes, at, end)
      if ((tag & 7) !== 2 || tag < 8) {
        const stop = afterField(bytes, tag, at, end)
        if ((tag & 7) === 3) this.#foreign(fieldAt, at, stop, level)
        at = stop
        continue
      }
      const lengthPos = at
      const packed = lengthAt(bytes, at, end)
      const start = at + (packed & 15)
      const stop = start + (packed >>> 4)
      const field = tag >>> 3
      const action = field < fieldsMax ? (actions[row + field] as number) : unknown
      if (action >= message) this.#message(action - message, lengthPos, start, stop, level)
      else if (action === text) this.#text(text, lengthPos, start, stop, level)
      else if (action === key) this.#key(lengthPos, start, stop, level)
      else if (action >= said) this.#text(action, lengthPos, start, stop, level)
      else if (action === unknown || stop - start > idBytesMax) {
        this.#foreign(fieldAt, start, stop, level)
      }
      at = stop
    }
  }

  #message(of: number, lengthPos: number, start: number, stop: number, level: number): void {
    if (
      of === kind.value &&
      this.#values < anyValueDepthMax &&
      isNumber(this.#bytes, start, stop)
    ) {
      return
    }
    if (of === kind.pair) {
      this.#pair(lengthPos, start, stop, level)
      return
    }
    const edits = this.#edits
    edits.enter(level + 1, lengthPos, start, stop)
    if (of === kind.value && ++this.#values > anyValueDepthMax) {
      throw malformed(
        `a value lies in more than ${anyValueDepthMax} others (anyValueDepthMax)`,
        start,
      )
    }
    if (of === kind.value) {
      const textStart = wholeTextAt(this.#bytes, start, stop)
      if (textStart >= 0) this.#text(said, start + 1, textStart, stop, level + 1)
      else this.walk(of, start, stop, level + 1)
      this.#values--
      return
    }
    if (of === kind.resource) this.#inResource = true
    else if (of === kind.list) this.#lists++
    this.walk(of, start, stop, level + 1)
    if (of === kind.list) this.#lists--
    else if (of === kind.resource) this.#inResource = false
    else if (of === kind.resourceSpans || of === kind.resourceLogs) {
      if (edits.isEdited(level + 1)) this.#rewriter.rewrote(this.#service)
      this.#service = ''
    }
  }

  /** Behind a pair in a value the key of that value counts again. */
  #pair(lengthPos: number, start: number, stop: number, level: number): void {
    const keyStart = this.#keyStart
    const keyEnd = this.#keyEnd
    const isFixed = this.#isKeyFixed
    const valueStart = keyStart === keyEnd && !isFixed ? plainValueAt(this.#bytes, start, stop) : -1
    if (valueStart >= 0) {
      this.#plainPair(lengthPos, start, valueStart, stop, level)
      this.#keyStart = keyStart
      this.#keyEnd = keyEnd
      return
    }
    this.#edits.enter(level + 1, lengthPos, start, stop)
    if (!isFixed) {
      if (keyEnd > keyStart && this.#rewriter.holdsSecret(this.#bytes, keyStart, keyEnd)) {
        this.#isKeyFixed = true
      } else {
        this.#keyStart = 0
        this.#keyEnd = 0
        if (this.#bytes[start] !== keyTag) this.#findKey(start, stop)
      }
    }
    this.walk(kind.pair, start, stop, level + 1)
    this.#keyStart = keyStart
    this.#keyEnd = keyEnd
    this.#isKeyFixed = isFixed
  }

  /** As nearly all attributes are written: the key, then one value. */
  #plainPair(
    lengthPos: number,
    start: number,
    valueStart: number,
    stop: number,
    level: number,
  ): void {
    const bytes = this.#bytes
    const keyStop = start + 2 + (bytes[start + 1] as number)
    if (this.#values < anyValueDepthMax && isNumber(bytes, valueStart, stop)) {
      const name = this.#rewriter.rewrite(bytes, start + 2, keyStop, 0, 0, textPlace.name)
      if (name === undefined) return
      this.#edits.enter(level + 1, lengthPos, start, stop)
      this.#edits.replace(level + 1, start + 1, start + 2, keyStop, name)
      return
    }
    this.#edits.enter(level + 1, lengthPos, start, stop)
    this.#key(start + 1, start + 2, keyStop, level + 1)
    this.#message(kind.value, keyStop + 1, valueStart, stop, level + 1)
  }

  /** Of a pair that has its value first, as any protobuf may. */
  #findKey(from: number, end: number): void {
    const bytes = this.#bytes
    for (let at = from; at < end; ) {
      const tag = tagAt(bytes, at, end)
      at = afterVarint(bytes, at, end)
      if (tag === keyTag) {
        const packed = lengthAt(bytes, at, end)
        this.#keyStart = at + (packed & 15)
        this.#keyEnd = this.#keyStart + (packed >>> 4)
        at = this.#keyEnd
      } else at = afterField(bytes, tag, at, end)
    }
  }

  #key(lengthPos: number, start: number, stop: number, level: number): void {
    const keyStart = this.#keyStart
    const keyEnd = this.#keyEnd
    this.#keyStart = 0
    this.#keyEnd = 0
    this.#text(text, lengthPos, start, stop, level)
    this.#keyStart = this.#isKeyFixed ? keyStart : start
    this.#keyEnd = this.#isKeyFixed ? keyEnd : stop
  }

  #text(action: number, lengthPos: number, start: number, stop: number, level: number): void {
    const bytes = this.#bytes
    const keyStart = this.#keyStart
    const keyEnd = this.#keyEnd
    let place: TextPlace = textPlace.name
    if (action === said) place = this.#lists > 0 ? textPlace.free : textPlace.value
    else if (action === binary) place = textPlace.bytes
    else if (action === free) place = textPlace.free
    const replacement = this.#rewriter.rewrite(bytes, start, stop, keyStart, keyEnd, place)
    if (replacement !== undefined) {
      this.#edits.replace(level, lengthPos, start, stop, replacement)
    }
    if (this.#inResource && action >= said && this.#isServiceName()) {
      this.#service = Buffer.from(replacement ?? bytes.subarray(start, stop)).toString()
    }
  }

  #isServiceName(): boolean {
    const length = this.#keyEnd - this.#keyStart
    return (
      length === serviceName.length &&
      this.#bytes.compare(serviceName, 0, length, this.#keyStart, this.#keyEnd) === 0
    )
  }

  /** What is inside nobody knows here, so that only all of it can go. */
  #foreign(fieldAt: number, start: number, stop: number, level: number): void {
    if (this.#rewriter.rewrite(this.#bytes, start, stop, 0, 0, textPlace.name) !== undefined) {
      this.#edits.cut(level, fieldAt, stop)
    }
  }
}
