import { emptySpan, encodeTraces, type Span, type TracesData } from '@winnow/otlp'
import { Random } from '@winnow/testing'

/** One trace of many spans, or of much text: an agent that ran away. */
export interface Giant {
  readonly traceId: string
  readonly spans: number
  /** Of text in each span's attributes. */
  readonly textBytes: number
  readonly requests: number
}

/** Spans in one request, and bytes of their text: what an exporter would send at once. */
const requestSpansMax = 500
const requestBytesMax = 4 * 1024 * 1024

export function giantOf(seed: number, spans: number, textBytes: number): Giant {
  const requests = Math.ceil(spans / spansPerRequest(textBytes))
  return { traceId: Random.of(seed, spans).hex(4), spans, textBytes, requests }
}

function spansPerRequest(textBytes: number): number {
  const fitting = Math.floor(requestBytesMax / Math.max(1, textBytes))
  return Math.max(1, Math.min(requestSpansMax, fitting))
}

/** Its requests in order: the root comes last, and one span in the middle has failed. */
export function* giantRequests({ traceId, spans, textBytes }: Giant): Generator<Uint8Array> {
  const perRequest = spansPerRequest(textBytes)
  const text = 'the order was late '.repeat(Math.ceil(textBytes / 19)).slice(0, textBytes)
  const spanId = (n: number): string => (n + 1).toString(16).padStart(16, '0')
  for (let from = 0; from < spans; from += perRequest) {
    const part: Span[] = []
    for (let n = from; n < Math.min(spans, from + perRequest); n++) {
      const nowNs = BigInt(Date.now()) * 1_000_000n
      const isRoot = n === spans - 1
      part.push({
        ...emptySpan,
        traceId,
        spanId: spanId(n),
        parentSpanId: isRoot ? '' : spanId(spans - 1),
        flags: 0x101,
        name: isRoot ? 'agent.turn' : `agent.step.${n % 50}`,
        kind: 1,
        startTimeUnixNano: nowNs - 1_000_000n,
        endTimeUnixNano: nowNs,
        attributes:
          textBytes === 0 ? [] : [{ key: 'gen_ai.output.messages', value: { stringValue: text } }],
        status:
          n === Math.floor(spans / 2) ? { message: 'failed', code: 2 } : { message: '', code: 0 },
      } as Span)
    }
    yield encodeTraces(dataOf(part))
  }
}

function dataOf(spans: Span[]): TracesData {
  const resource = {
    attributes: [{ key: 'service.name', value: { stringValue: 'runaway' } }],
    droppedAttributesCount: 0,
    entityRefs: [],
  }
  const scope = { name: 'giant', version: '', attributes: [], droppedAttributesCount: 0 }
  return {
    resourceSpans: [{ resource, scopeSpans: [{ scope, spans, schemaUrl: '' }], schemaUrl: '' }],
  } as unknown as TracesData
}
