import type { KeyValue, Span, SpanEvent, SpanLink } from '@winnow/otlp'
import { text } from './attributes.ts'
import type { Random } from './random.ts'
import type { TrafficPlan } from './traffic-options.ts'
import type { OriginSpan, Origins, Service } from './traffic-origins.ts'
import type { Story } from './traffic-story.ts'

/** A span and when its service has it ready for export. */
export interface ReadySpan extends OriginSpan {
  readonly service: Service
  readonly readyMs: number
}

/** OTLP's numbers for the kinds that the traffic has. */
export const spanKind = { internal: 1, server: 2, client: 3, consumer: 5 } as const

/** What a step states of its span; the rest is the draft's to know. */
export interface StepSpan {
  readonly service: Service
  /** '' for none. */
  readonly parentId: string
  readonly name: string
  readonly kind: number
  readonly attributes: readonly KeyValue[]
  /** Drawn when absent. */
  readonly id?: string
  /** The parent lies in another process, and the flags say so where the SDK knows of them. */
  readonly remote?: boolean
  readonly events?: readonly SpanEvent[]
  readonly links?: readonly SpanLink[]
  /** Message of an ERROR status; an exception event says the same. */
  readonly error?: string | null
}

interface DraftSpan extends StepSpan {
  readonly id: string
  readonly fromUs: number
  readonly toUs: number
}

/** A trace being made: its spans so far and the time within it, microseconds after its start. */
export class TraceDraft {
  readonly random: Random
  readonly plan: TrafficPlan
  readonly story: Story
  readonly #spans: DraftSpan[] = []
  #nowUs = 0

  constructor(random: Random, plan: TrafficPlan, story: Story) {
    this.random = random
    this.plan = plan
    this.story = story
  }

  get nowUs(): number {
    return this.#nowUs
  }

  get spanCount(): number {
    return this.#spans.length
  }

  newId(): string {
    return this.random.hex(2)
  }

  passUs(us: number): void {
    this.#nowUs += Math.round(us)
  }

  /** A latency with this median; of a `faq` turn, which never varies, a fixed one. */
  passMs(medianMs: number): void {
    const drawn = this.random.logNormal(medianMs, 0.3)
    const fixed = medianMs / 10
    this.passUs((this.story.shape === 'faq' ? fixed : drawn) * 1_000 * this.plan.latencyScale)
  }

  /** Now is exactly this long after the start. */
  setMs(sinceStartMs: number): void {
    this.#nowUs = Math.round(sinceStartMs * 1_000 * this.plan.latencyScale)
  }

  /** A step that takes about `medianMs` from now. */
  add(medianMs: number, span: StepSpan): void {
    const fromUs = this.#nowUs
    this.passMs(medianMs)
    this.around(fromUs, span)
    this.passUs(500)
  }

  /** A span from `fromUs` until `toUs`, which is now when absent. */
  around(fromUs: number, span: StepSpan, toUs = this.#nowUs): void {
    const error = span.error ?? null
    const events = span.events ?? []
    this.#spans.push({
      ...span,
      id: span.id ?? this.newId(),
      fromUs,
      toUs,
      events: error === null ? events : [...events, this.#exception(error)],
      error,
    })
  }

  event(name: string, attributes: readonly KeyValue[]): SpanEvent {
    const timeUnixNano = nanoseconds(this.story.startMs, this.#nowUs)
    return { timeUnixNano, name, attributes, droppedAttributesCount: 0 }
  }

  /** Length of a text of this weight; the weights of a usual span add up to 1. */
  textLength(weight: number): number {
    const mean = this.plan.spanBytesMean - fixedBytes
    return Math.round(this.random.logNormal(mean * weight * textBytesWeight, 0.5))
  }

  /** The last span that is nobody's parent gets an end before its start. */
  turnOneBack(): void {
    const parents = new Set(this.#spans.map(span => span.parentId))
    const at = this.#spans.findLastIndex(span => !parents.has(span.id) && span.parentId !== '')
    const leaf = this.#spans[at]
    if (leaf !== undefined) this.#spans[at] = { ...leaf, fromUs: leaf.toUs, toUs: leaf.fromUs }
  }

  /** Unix milliseconds, with fractions. */
  endMs(): number {
    const ends = this.#spans.map(span => Math.max(span.fromUs, span.toUs))
    return this.story.startMs + Math.max(...ends) / 1_000
  }

  /** A span is ready when it has ended; the evaluators' `evaluatorLagMs` later. */
  finish(origins: Origins, evaluatorLagMs: number): ReadySpan[] {
    const { story } = this
    const unnamed = this.random.chance(0.03)
    return this.#spans.map(span => {
      const named = !(unnamed && span.service === 'tool-runner')
      const endedMs = story.startMs + Math.max(span.fromUs, span.toUs) / 1_000
      return {
        origin: origins.of(span.service, story.dialect, named),
        service: span.service,
        span: spanOf(span, story),
        readyMs: endedMs + (span.service === 'evaluator' ? evaluatorLagMs : 0),
      }
    })
  }

  #exception(message: string): SpanEvent {
    return this.event('exception', [
      text('exception.type', 'ToolError'),
      text('exception.message', message),
      text('exception.stacktrace', `ToolError: ${message}\n    at call (tools.py:214)`),
    ])
  }
}

/** Encoded bytes of a span without its texts, and letters of text for each byte beyond: measured. */
const fixedBytes = 404
const textBytesWeight = 0.7565

function spanOf(draft: DraftSpan, story: Story): Span {
  const error = draft.error ?? null
  return {
    traceId: story.traceId,
    spanId: draft.id,
    traceState: story.traceState,
    parentSpanId: draft.parentId,
    flags: flagsOf(draft, story),
    name: draft.name,
    kind: draft.kind,
    startTimeUnixNano: nanoseconds(story.startMs, draft.fromUs),
    endTimeUnixNano: nanoseconds(story.startMs, draft.toUs),
    attributes: draft.attributes,
    droppedAttributesCount: 0,
    events: draft.events ?? [],
    droppedEventsCount: 0,
    links: draft.links ?? [],
    droppedLinksCount: 0,
    // Most SDKs leave the status of a success unset; the seed's says OK.
    status:
      error === null
        ? { message: '', code: story.dialect === 'seed' ? 1 : 0 }
        : { message: error, code: 2 },
  }
}

/** W3C's sampled flag; bit 8 says that bit 9, the remote parent, is meant. Older SDKs know neither. */
function flagsOf(draft: DraftSpan, story: Story): number {
  if (story.dialect === 'semconv-old' || story.dialect === 'traceloop') return 1
  return draft.remote === true ? 0x301 : 0x101
}

function nanoseconds(startMs: number, us: number): bigint {
  return BigInt(startMs) * 1_000_000n + BigInt(us) * 1_000n
}
