import { zstdDecompressSync } from 'node:zlib'
import type { AnyValue, KeyValue, LogsData, TracesData } from '@winnow/otlp'

/** An identifier that was planted once, and every text by which it could be read. */
export interface Canary {
  readonly kind: string
  readonly place: string
  readonly needles: readonly string[]
}

/** Beside every canary, so that a search that finds nothing is known to look in the right places. */
export const marker = 'beside-the-canary'

const kinds = [
  'email',
  'phone',
  'card',
  'iban',
  'national_id',
  'ip',
  'secret',
  'url_credentials',
] as const

/** Makes identifiers that nobody has, each one once. */
export class Canaries {
  readonly planted: Canary[] = []
  #next: number

  /** Two that start a thousand apart share none. */
  constructor(first: number) {
    this.#next = first
  }

  /** A text of the next kind for a place; `encode` is how it stands there. */
  plant(place: string, encode: (text: string) => string = text => text): string {
    const n = this.#next++
    const kind = kinds[n % kinds.length] as (typeof kinds)[number]
    const { text, secret } = identifier(kind, n)
    const standing = encode(text)
    const needles = standing.includes(secret) ? [secret] : [secret, standing]
    this.planted.push({ kind, place, needles })
    return standing
  }
}

/** The whole text, and what of it must not be read. */
function identifier(kind: (typeof kinds)[number], n: number): { text: string; secret: string } {
  const four = String(1000 + (n % 9000))
  switch (kind) {
    case 'email':
      return same(`canary.${n}@post.example.com`)
    case 'phone':
      return same(`+49 30 55${four}${n % 10}`)
    case 'card':
      return same(withLuhn(`41110000${String(n).padStart(7, '0')}`))
    case 'iban':
      return same(germanIban(`3704004400${String(n).padStart(8, '0')}`))
    case 'national_id':
      return same(`219-09-${four}`)
    case 'ip':
      return same(`198.51.${n % 250}.${1 + (n % 199)}`)
    case 'secret':
      return same(`sk-proj-${String(n).padStart(6, '0')}abcdefghijklmnopqrst`)
    case 'url_credentials': {
      const secret = `app${n}:s3cret${n}`
      return { text: `postgres://${secret}@db.example.com/x`, secret }
    }
  }
}

const same = (text: string) => ({ text, secret: text })

function withLuhn(digits: string): string {
  let sum = 0
  for (let i = 0; i < digits.length; i++) {
    const value = Number(digits.at(-1 - i))
    sum += i % 2 === 0 ? (value * 2 > 9 ? value * 2 - 9 : value * 2) : value
  }
  return digits + ((10 - (sum % 10)) % 10)
}

function germanIban(account: string): string {
  const check = 98n - (BigInt(`${account}131400`) % 97n)
  return `DE${String(check).padStart(2, '0')}${account}`
}

/** Attributes of every convention that carry text. */
export const textKeys = [
  'gen_ai.input.messages',
  'gen_ai.tool.call.arguments',
  'gen_ai.prompt.0.content',
  'llm.input_messages.0.message.content',
  'input.value',
  'traceloop.entity.output',
  'langfuse.observation.input',
  'ai.response.text',
  'mlflow.spanInputs',
  'user.message',
]

/** And some that should not. */
const keys = [...textKeys, 'session.id', 'user.id', 'server.address', 'app.unheard.of']

const escapes: readonly ((text: string) => string)[] = [
  text => `${marker} ${text} ends.`,
  text => JSON.stringify({ turn: 1, text: `${marker}\n${text}\t.` }),
  text => JSON.stringify({ body: JSON.stringify({ text }) }),
  text => escapedUnicode(text),
  text => `q=${encodeURIComponent(text)}&n=1`,
  text => Buffer.from(`${marker}: ${text}.`).toString('base64'),
  text => Buffer.from(JSON.stringify({ text })).toString('base64url'),
]

function escapedUnicode(text: string): string {
  const hex = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  return `{"text":"${text.replaceAll(/[^A-Za-z0-9]/g, hex)}"}`
}

const none = { droppedAttributesCount: 0 }

/** Traces that are kept, with canaries in every place that holds text. */
export function plantedTraces(canaries: Canaries, traceId: string, nowMs: number): TracesData {
  const text = (place: string, n = 0): string => canaries.plant(place, escapes[n % escapes.length])
  const said = (key: string, stringValue: string): KeyValue => ({ key, value: { stringValue } })
  const nested: AnyValue = {
    arrayValue: {
      values: [
        { stringValue: text('array', 1) },
        {
          kvlistValue: {
            values: [said('inner', text('map')), said(canaries.plant('key of a map'), 'x')],
          },
        },
        { bytesValue: Buffer.from(text('bytes')) },
      ],
    },
  }
  const attributes = [
    ...[...keys, ...keys, ...keys].map((key, n) => said(key, text(`attribute ${key}`, n))),
    ...escapes.map((_, n) => said('output.value', text(`escaped ${n}`, n))),
    said(canaries.plant('attribute key'), 'x'),
    { key: 'app.nested', value: nested },
    said('db.password', `correct horse ${canaries.plant('secret key')}`),
  ]
  const startTimeUnixNano = BigInt(nowMs) * 1_000_000n
  const span = {
    traceId,
    spanId: `aa${traceId.slice(2, 16)}`,
    parentSpanId: '',
    traceState: `vendor=${canaries.plant('trace state')}`,
    name: text('span name'),
    kind: 2,
    flags: 0,
    startTimeUnixNano,
    endTimeUnixNano: startTimeUnixNano + 5_000_000n,
    attributes,
    ...none,
    events: [
      {
        timeUnixNano: startTimeUnixNano,
        name: text('event name'),
        attributes: [said('exception.stacktrace', text('event attribute', 1))],
        ...none,
      },
    ],
    droppedEventsCount: 0,
    links: [
      {
        traceId: 'ab'.repeat(16),
        spanId: 'cd'.repeat(8),
        traceState: `vendor=${canaries.plant('link state')}`,
        attributes: [said('why', text('link attribute'))],
        flags: 0,
        ...none,
      },
    ],
    droppedLinksCount: 0,
    status: { code: 2, message: text('status message') },
  }
  const resource = {
    attributes: [
      said('service.name', 'canary-shop'),
      said('service.instance.id', text('resource attribute')),
      said('process.command_line', text('resource attribute', 1)),
    ],
    ...none,
  }
  const scope = {
    name: text('scope name'),
    version: '1',
    attributes: [said('scope.note', text('scope attribute'))],
    ...none,
  }
  const scopeSpans = [{ scope, spans: [span], schemaUrl: `https://${canaries.plant('schema')}/` }]
  return { resourceSpans: [{ resource, scopeSpans, schemaUrl: '' }] } as TracesData
}

/** Outcomes as log events, and one log record that is none. */
export function plantedLogs(canaries: Canaries, traceId: string, nowMs: number): LogsData {
  const said = (key: string, stringValue: string): KeyValue => ({ key, value: { stringValue } })
  const record = (eventName: string, attributes: readonly KeyValue[]) => ({
    timeUnixNano: BigInt(nowMs) * 1_000_000n,
    observedTimeUnixNano: 0n,
    severityNumber: 9,
    severityText: '',
    body: { stringValue: `${marker} ${canaries.plant('log body')}` },
    attributes,
    ...none,
    flags: 0,
    traceId,
    spanId: '',
    eventName,
  })
  const outcome = [
    said('gen_ai.evaluation.name', 'judge'),
    said('gen_ai.evaluation.score.label', canaries.plant('log label')),
    said('gen_ai.evaluation.explanation', `${marker} ${canaries.plant('log explanation')}`),
    said('log.record.uid', canaries.plant('log id').replaceAll(/[^\w@.+-]/g, '-')),
  ]
  const logRecords = [record('gen_ai.evaluation.result', outcome), record('a line', [])]
  const scope = { name: canaries.plant('log scope'), version: '', attributes: [], ...none }
  const resource = { attributes: [said('service.name', 'canary-judge')], ...none }
  return {
    resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords, schemaUrl: '' }], schemaUrl: '' }],
  } as LogsData
}

const zstdMagic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

/** The bytes, and what every frame of zstd among them holds: pages of Parquet, batches of Kafka. */
export function readings(bytes: Buffer): Buffer[] {
  const found = [bytes]
  for (let at = bytes.indexOf(zstdMagic); at >= 0; at = bytes.indexOf(zstdMagic, at + 1)) {
    try {
      found.push(zstdDecompressSync(bytes.subarray(at), { maxOutputLength: 64 << 20 }))
    } catch {
      // Four bytes that only look like it.
    }
  }
  return found
}

/** `where: kind in place` of every canary that can be read in these bytes. */
export function seenIn(where: string, bytes: Buffer, canaries: readonly Canary[]): string[] {
  const seen: string[] = []
  for (const reading of readings(bytes)) {
    for (const { kind, place, needles } of canaries) {
      for (const needle of needles) {
        if (reading.includes(needle)) seen.push(`${where}: ${kind} in ${place}`)
      }
    }
  }
  return seen
}
