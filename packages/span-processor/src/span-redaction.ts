import type { Attributes } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import {
  holdsSecret,
  isClearText,
  type KeyNature,
  keyNature,
  keyNatureOf,
  type Redactor,
  unscanned,
} from '@winnow/privacy'

/** Prose where none belongs. */
export const withheld = '<withheld>'

/** Values in values; what lies deeper is not handed on. */
const depthMax = 64

/** Makes of a span what may leave the application; what has nothing to redact is the very same object. */
export class SpanRedaction {
  readonly #redactor: Redactor
  readonly #freeText: readonly string[] | undefined
  /** An exporter groups by resource and by scope: each has to be one object for all of its spans. */
  readonly #resources = new WeakMap<object, ReadableSpan['resource']>()
  readonly #scopes = new WeakMap<object, ReadableSpan['instrumentationScope']>()

  constructor(redactor: Redactor, freeText: readonly string[] | undefined) {
    this.#redactor = redactor
    this.#freeText = freeText
  }

  of(span: ReadableSpan): ReadableSpan {
    const { status } = span
    const message = status.message === undefined ? undefined : this.#text(status.message)
    const overrides = {
      name: this.#text(span.name),
      attributes: this.#attributes(span.attributes),
      status: message === undefined ? status : { ...status, message },
      events: span.events.map(event => ({
        ...event,
        name: this.#text(event.name),
        ...(event.attributes !== undefined && { attributes: this.#attributes(event.attributes) }),
      })),
      links: span.links.map(link => ({
        ...link,
        ...(link.attributes !== undefined && { attributes: this.#attributes(link.attributes) }),
      })),
      resource: this.#resource(span.resource),
      instrumentationScope: this.#scope(span.instrumentationScope),
    }
    return Object.create(
      span,
      Object.fromEntries(
        Object.entries(overrides).map(([field, value]) => [field, { value, enumerable: true }]),
      ),
    ) as ReadableSpan
  }

  /** Read anew each time: some of its attributes may come later. */
  #resource(resource: ReadableSpan['resource']): ReadableSpan['resource'] {
    const known = this.#resources.get(resource)
    if (known !== undefined) return known
    const attributes = { get: () => this.#attributes(resource.attributes), enumerable: true }
    const made = Object.create(resource, { attributes }) as ReadableSpan['resource']
    this.#resources.set(resource, made)
    return made
  }

  #scope(scope: ReadableSpan['instrumentationScope']): ReadableSpan['instrumentationScope'] {
    const known = this.#scopes.get(scope)
    if (known !== undefined) return known
    const made = Object.create(scope, {
      name: { value: this.#text(scope.name), enumerable: true },
    }) as ReadableSpan['instrumentationScope']
    this.#scopes.set(scope, made)
    return made
  }

  #attributes(attributes: Attributes): Attributes {
    const entries = Object.entries(attributes).map(([key, value]) => [
      this.#text(key),
      this.#value(value, key, 0),
    ])
    return Object.fromEntries(entries) as Attributes
  }

  #value(value: unknown, key: string, depth: number): unknown {
    if (typeof value === 'string') return this.#string(value, key)
    if (typeof value !== 'object' || value === null) return value
    if (depth === depthMax) return unscanned
    if (value instanceof Uint8Array) return this.#bytes(value)
    if (Array.isArray(value)) return value.map(one => this.#value(one, key, depth + 1))
    // Whatever lies under the key of a secret is one.
    const isSecret = holdsSecret(key)
    const entries = Object.entries(value).map(([inner, one]) => [
      this.#text(inner),
      this.#value(one, isSecret ? key : inner, depth + 1),
    ])
    return Object.fromEntries(entries)
  }

  #string(text: string, key: string): string {
    const nature = keyNatureOf(key)
    if (nature === keyNature.secret) return this.#redactor.secret(text) ?? text
    if (this.#freeText !== undefined && !isClearText(text) && !mayHold(this.#freeText, key)) {
      return withheld
    }
    return this.#text(text, nature)
  }

  #text(text: string, nature: KeyNature = keyNature.any): string {
    try {
      return this.#redactor.redactText(text, undefined, nature)
    } catch {
      return unscanned
    }
  }

  #bytes(value: Uint8Array): Uint8Array {
    try {
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      return this.#redactor.redact(bytes, 0, bytes.length) ?? value
    } catch {
      return Buffer.from(unscanned)
    }
  }
}

function mayHold(freeText: readonly string[], key: string): boolean {
  return freeText.some(one => (one.endsWith('*') ? key.startsWith(one.slice(0, -1)) : one === key))
}
