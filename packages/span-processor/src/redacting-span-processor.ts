import type { Context } from '@opentelemetry/api'
import type { ReadableSpan, Span, SpanProcessor } from '@opentelemetry/sdk-trace-base'
import {
  detectedKinds,
  Pattern,
  Redactor,
  sharedTokenKeysFrom,
  sharedTokenKeysOf,
  Tokens,
} from '@winnow/privacy'
import { SpanRedaction } from './span-redaction.ts'

export interface RedactionOptions {
  /**
   * What tokens are made with: 16 characters or more, or lines of `ID:SECRET` once there are several. With that
   * of the receiver's `privacy.tokenKeys` a thing has the same token on both sides.
   */
  readonly secret: string
  /** Whose spans they are, as the receiver's keys call him. */
  readonly tenant?: string
  /** Kinds that are sought; absent: all. */
  readonly detect?: readonly string[]
  /** Shapes of your own, as `{ kind: 'order', pattern: 'ORD-#{6,10}' }`. */
  readonly patterns?: readonly { readonly kind: string; readonly pattern: string }[]
  /**
   * Attributes that may carry free text, `*` at an end for any rest. Where it is given, prose under any other
   * key becomes `<withheld>`: more than 12 words or 256 characters.
   */
  readonly freeText?: readonly string[]
}

/**
 * Redacts spans as they end and hands them on: nobody behind it, no exporter and no network, sees what was found.
 * The application's own span stays as it is.
 *
 *     new RedactingSpanProcessor(new BatchSpanProcessor(exporter), { secret })
 *
 * Throws TypeError for options that cannot work. Nothing that it does with a span throws: a text that could not be
 * looked at becomes `<unscanned>`.
 */
export class RedactingSpanProcessor implements SpanProcessor {
  readonly #next: SpanProcessor
  readonly #redaction: SpanRedaction

  constructor(next: SpanProcessor, options: RedactionOptions) {
    this.#next = next
    this.#redaction = new SpanRedaction(redactorOf(options), options.freeText)
  }

  onStart(span: Span, parentContext: Context): void {
    this.#next.onStart(span, parentContext)
  }

  onEnd(span: ReadableSpan): void {
    this.#next.onEnd(this.#redaction.of(span))
  }

  forceFlush(): Promise<void> {
    return this.#next.forceFlush()
  }

  shutdown(): Promise<void> {
    return this.#next.shutdown()
  }
}

function redactorOf({
  secret,
  tenant = 'default',
  detect,
  patterns = [],
}: RedactionOptions): Redactor {
  const secrets = typeof secret === 'string' ? sharedTokenKeysFrom(secret) : undefined
  if (secrets === undefined) {
    throw new TypeError('secret: give 16 characters or more, as openssl rand -hex 32 makes them')
  }
  const known: readonly string[] = detectedKinds
  const unknown = detect?.find(kind => !known.includes(kind))
  if (unknown !== undefined) {
    throw new TypeError(`detect: "${unknown}" is none of ${known.join(', ')}`)
  }
  return new Redactor(new Tokens(sharedTokenKeysOf(secrets, tenant)), {
    kinds: detect ?? known,
    patterns: patterns.map(({ kind, pattern }) => patternOf(kind, pattern)),
  })
}

function patternOf(kind: string, pattern: string): Pattern {
  try {
    return new Pattern(kind, pattern)
  } catch (error) {
    throw new TypeError(`patterns: ${kind}: ${(error as Error).message}`, { cause: error })
  }
}
