import { logsFromJson, tracesFromJson } from '@winnow/otlp'
import { OtlpClient, type OtlpTransport } from '@winnow/testing'
import type { RunningWinnow } from './winnow-process.ts'

/** Who sends, where to, and about what. */
export interface Sender {
  readonly winnow: RunningWinnow
  readonly key: string
  readonly traceId: string
}

/** A way in which an outcome comes. The same sender says the same again. */
export interface Carrier {
  /** `beside`: it becomes an evaluation of the trace. `within`: it is a span of the trace. */
  readonly comes: 'beside' | 'within'
  readonly send: (sender: Sender) => Promise<void>
  /** Where the carrier has a way of its own to take it back; else the API's, by its id. */
  readonly retract?: (sender: Sender) => Promise<void>
}

export const experiment = 'terser'

const rootId = '00000000000000a1'

/** A trace that nothing is wrong with, and that chance does not keep. `isFailing`: one span ends in an error. */
export async function sendTrace(sender: Sender, isFailing: boolean): Promise<void> {
  const child = { spanId: '00000000000000a2', parentSpanId: rootId, name: 'llm.generate' }
  await sendSpans(sender, [
    { spanId: rootId, name: 'refund_chat.turn' },
    { ...child, ...(isFailing && { status: { code: 2 } }) },
  ])
}

export const carriers: Readonly<Record<string, Carrier>> = {
  'POST /api/v1/evaluations': {
    comes: 'beside',
    send: sender => evaluate(sender, { id: 'a', name: 'csat', score: 1, comment: 'rude' }),
    retract: sender => evaluate(sender, { id: 'a', retracted: true }),
  },
  'the API’s port': {
    comes: 'beside',
    send: sender => evaluate(sender, { name: 'judge', label: 'fail' }, sender.winnow.api),
  },
  'log in the span’s context': {
    comes: 'beside',
    send: sender => sendLog(sender, 'http-json', { ...inContext(sender), attributes: failed }),
    retract: sender =>
      sendLog(sender, 'http-json', { ...inContext(sender), attributes: [...failed, takenBack] }),
  },
  'log that names the trace, over gRPC': {
    comes: 'beside',
    send: sender =>
      sendLog(sender, 'grpc', {
        attributes: [
          text('event.name', 'gen_ai.evaluation.result'),
          text('gen_ai.response.id', sender.traceId),
          text('gen_ai.evaluation.name', 'judge'),
          text('gen_ai.evaluation.score.value', '0.25'),
        ],
      }),
  },
  'feature flag log': {
    comes: 'beside',
    send: sender =>
      sendLog(sender, 'http-protobuf', {
        ...inContext(sender),
        eventName: 'feature_flag.evaluation',
        attributes: [
          text('feature_flag.key', experiment),
          text('feature_flag.result.variant', 'B'),
        ],
      }),
  },
  'span event': {
    comes: 'within',
    send: sender =>
      sendLate(sender, { events: [{ name: 'gen_ai.evaluation.result', attributes: failed }] }),
  },
  'annotation on its span': {
    comes: 'within',
    send: sender => sendLate(sender, { attributes: annotations('annotations', 'annotation') }),
  },
  'evaluation of its trace': {
    comes: 'within',
    send: sender =>
      sendLate(sender, { attributes: annotations('trace.evaluations', 'evaluation') }),
  },
  'linked span, annotation': {
    comes: 'beside',
    send: sender => sendLinked(sender, { attributes: annotations('annotations', 'annotation') }),
  },
  'linked span, evaluation of the trace': {
    comes: 'beside',
    send: sender =>
      sendLinked(sender, { attributes: annotations('trace.evaluations', 'evaluation') }, 'grpc'),
  },
  'event of a span that links another': {
    comes: 'within',
    send: sender =>
      sendLate(sender, {
        links: [{ traceId: `cc${sender.traceId.slice(2)}`, spanId: rootId }],
        events: [{ name: 'gen_ai.evaluation.result', attributes: failed }],
      }),
  },
  'judge.* on a span': {
    comes: 'within',
    send: sender => sendLate(sender, { attributes: [text('judge.label', 'fail')] }),
  },
  'citation.* on a span': {
    comes: 'within',
    send: sender =>
      sendLate(sender, {
        attributes: [
          { key: 'citation.claims_extracted', value: { intValue: '2' } },
          { key: 'citation.claims_supported', value: { intValue: '1' } },
        ],
      }),
  },
  'outcome.* on a span': {
    comes: 'within',
    send: sender =>
      sendLate(sender, {
        attributes: [{ key: 'outcome.policy_correct', value: { boolValue: false } }],
      }),
  },
  'Langfuse’s score': {
    comes: 'beside',
    send: sender => sendScore(sender, 1),
    retract: deleteScore,
  },
  'Langfuse’s batch': {
    comes: 'beside',
    send: sender =>
      asLangfuse(sender, 'POST', '/api/public/ingestion', {
        batch: [
          {
            id: 'event-1',
            type: 'score-create',
            timestamp: '2026-05-22T10:15:00.000Z',
            body: {
              id: 'b',
              traceId: sender.traceId,
              name: 'thumb',
              value: 0,
              dataType: 'BOOLEAN',
            },
          },
        ],
      }),
    retract: sender => asLangfuse(sender, 'DELETE', `/api/public/scores/${sender.traceId}.b`),
  },
  'evaluation that outcomes: names': {
    comes: 'beside',
    send: sender => evaluate(sender, { name: 'toxicity', score: 0.9 }),
  },
  'attribute that outcomes: names': {
    comes: 'within',
    send: sender => sendLate(sender, { attributes: [text('app.feedback.stars', '1')] }),
  },
}

/** As `winnow.yaml` has it. */
export const outcomes = `outcomes:
  - { from: { evaluation: toxicity }, to: toxicity, failWhen: { scoreAbove: 0.7 } }
  - { from: { attribute: app.feedback.stars }, to: csat }
`

function text(key: string, value: string): object {
  return { key, value: { stringValue: value } }
}

const failed = [
  text('gen_ai.evaluation.name', 'judge'),
  text('gen_ai.evaluation.score.label', 'fail'),
]
const takenBack = { key: 'winnow.evaluation.retracted', value: { boolValue: true } }

function annotations(list: string, one: string): object[] {
  return [
    text(`${list}.0.${one}.name`, 'judge'),
    { key: `${list}.0.${one}.score`, value: { doubleValue: 0.1 } },
    text(`${list}.0.${one}.explanation`, 'wrong policy'),
    text(`${list}.0.${one}.annotator_kind`, 'LLM'),
  ]
}

function inContext({ traceId }: Sender): object {
  return { traceId, spanId: rootId, eventName: 'gen_ai.evaluation.result' }
}

/** A span of the trace that comes by itself. */
function sendLate(sender: Sender, more: object): Promise<void> {
  const span = { spanId: '00000000000000a3', parentSpanId: rootId, name: 'judge', ...more }
  return sendSpans(sender, [span])
}

/** A span of a trace of its own that links the judged one. */
function sendLinked(sender: Sender, more: object, transport?: OtlpTransport): Promise<void> {
  const links = [{ traceId: sender.traceId, spanId: rootId }]
  // Chance does not keep it either.
  const traceId = `cc${sender.traceId.slice(2)}`
  const span = { traceId, spanId: '00000000000000c1', name: 'evaluate', links, ...more }
  return sendSpans(sender, [span], transport)
}

async function sendSpans(
  { winnow, key, traceId }: Sender,
  spans: readonly object[],
  transport: OtlpTransport = 'http-json',
): Promise<void> {
  const endNs = BigInt(Date.now()) * 1_000_000n
  const times = { startTimeUnixNano: String(endNs - 5_000_000n), endTimeUnixNano: String(endNs) }
  const whole = spans.map(span => ({ traceId, kind: 1, ...times, ...span }))
  const resource = { attributes: [text('service.name', 'refund-bot')] }
  const { data } = tracesFromJson({ resourceSpans: [{ resource, scopeSpans: [{ spans: whole }] }] })
  await withClient(winnow, key, transport, client => client.sendTraces(data))
}

async function sendLog({ winnow, key }: Sender, transport: OtlpTransport, log: object) {
  const resource = { attributes: [text('service.name', 'grader')] }
  const { data } = logsFromJson({
    resourceLogs: [{ resource, scopeLogs: [{ logRecords: [log] }] }],
  })
  await withClient(winnow, key, transport, client => client.sendLogs(data))
}

async function withClient(
  { otlpGrpc, otlpHttp }: RunningWinnow,
  apiKey: string,
  transport: OtlpTransport,
  send: (client: OtlpClient) => ReturnType<OtlpClient['sendTraces']>,
): Promise<void> {
  const address = transport === 'grpc' ? otlpGrpc : otlpHttp
  const client = new OtlpClient({ transport, address, apiKey, connections: 1 })
  try {
    const { acknowledged, rejected, message } = await send(client)
    if (!acknowledged || rejected > 0) throw new Error(`not taken: ${message}`)
  } finally {
    client.close()
  }
}

export async function evaluate(
  { winnow, key, traceId }: Sender,
  evaluation: object,
  address: string = winnow.otlpHttp,
): Promise<void> {
  await expectOk(
    fetch(`http://${address}/api/v1/evaluations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ traceId, ...evaluation }),
    }),
  )
}

/** The same id whatever its value is. */
export function sendScore(sender: Sender, value: number): Promise<void> {
  return asLangfuse(sender, 'POST', '/api/public/scores', {
    id: `score-${sender.traceId}`,
    traceId: sender.traceId,
    name: 'csat',
    value,
    dataType: 'NUMERIC',
    comment: 'rude',
  })
}

export function deleteScore(sender: Sender): Promise<void> {
  return asLangfuse(sender, 'DELETE', `/api/public/scores/score-${sender.traceId}`)
}

async function asLangfuse({ winnow, key }: Sender, method: string, path: string, body?: object) {
  const authorization = `Basic ${Buffer.from(`pk-lf-public:${key}`).toString('base64')}`
  await expectOk(
    fetch(`http://${winnow.otlpHttp}${path}`, {
      method,
      headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }),
  )
}

async function expectOk(answered: Promise<Response>): Promise<void> {
  const response = await answered
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
}
