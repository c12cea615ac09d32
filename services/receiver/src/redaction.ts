import { rewriteStrings, type StringRewriter } from '@winnow/otlp'
import {
  type KeyNature,
  KnownTexts,
  keyNature,
  keyNatureOf,
  knownText,
  knownTextBytesMax,
  type Names,
  type Redactor,
  type Redactors,
  redactEvaluationId,
  redactJson,
  redactNamesInJson,
  type TenantNames,
} from '@winnow/privacy'
import { type Metrics, PipelineError } from '@winnow/runtime'
import { redactNames } from './name-redaction.ts'

/** Nothing that is sought is shorter. */
const textBytesMin = 5

/** The attribute in which a log record or an event carries the id of an evaluation: `<trace id>.<the sender's own>`. */
const evaluationIdKey = Buffer.from('log.record.uid')
const traceIdDigits = 32
const dot = 0x2e

function isEvaluationId(bytes: Buffer, keyStart: number, keyEnd: number): boolean {
  return evaluationIdKey.equals(bytes.subarray(keyStart, keyEnd))
}

/**
 * Redacts what one tenant sends, before anything of it goes to the bus, an answer or a log. All transports meet
 * here: OTLP as protobuf, whatever it was sent as, and JSON that is no OTLP as its values.
 */
export class TenantRedaction implements StringRewriter {
  readonly #redactor: Redactor
  readonly #metrics: Metrics
  readonly #known = new KnownTexts()
  readonly #names: TenantNames | undefined
  #keyAt = -1
  #keyNature: KeyNature = keyNature.any
  readonly #counts = new Map<string, number>()
  /** Found in the short text that is looked at. */
  readonly #kinds: string[] = []

  constructor(redactor: Redactor, metrics: Metrics, names?: TenantNames) {
    this.#redactor = redactor
    this.#metrics = metrics
    this.#names = names
  }

  /** Whether somebody is asked for names: then that has to be waited for. */
  get findsNames(): boolean {
    return this.#names !== undefined
  }

  /** The very same buffer where there is nothing to redact. Throws PAYLOAD_INVALID for malformed bytes. */
  otlp(bytes: Buffer, signal: 'traces' | 'logs'): Buffer {
    this.#counts.clear()
    this.#keyAt = -1
    return rewriteStrings(bytes, signal, this)
  }

  /**
   * What `otlp` gave without the names in its free text, after a limited time; a text that nobody looked at by then
   * is `<unscanned>`. The very same buffer where there is nothing.
   */
  async names(bytes: Buffer, signal: 'traces' | 'logs'): Promise<Buffer> {
    if (this.#names === undefined) return bytes
    const counts = new Map<string, number>()
    const search = this.#names.begin(this.#redactor, kind => countOne(counts, kind))
    const redacted = await redactNames(bytes, signal, search, service =>
      this.#report(counts, service),
    )
    this.#names.end(search)
    return redacted
  }

  json(value: unknown): unknown {
    this.#counts.clear()
    const redacted = redactJson(this.#redactor, value, this.#onFound)
    this.rewrote('')
    return redacted
  }

  /** The same of what `json` gave, where people write. */
  async namesInJson(redacted: unknown): Promise<unknown> {
    if (this.#names === undefined) return redacted
    const counts = new Map<string, number>()
    const onFound = (kind: string): void => countOne(counts, kind)
    const named = await redactNamesInJson(this.#names, this.#redactor, redacted, onFound)
    this.#report(counts, '')
    return named
  }

  text(text: string): string {
    return this.#redactor.redactText(text)
  }

  /** Of an evaluation, as `json` does it in a body. */
  id(id: string): string {
    return redactEvaluationId(this.#redactor, id)
  }

  /** Messages name fields, and a sender chooses what those are called. */
  error(error: unknown): unknown {
    if (!(error instanceof PipelineError)) return error
    const message = error.message.slice(error.code.length + 3)
    const redacted = this.text(message)
    return redacted === message ? error : new PipelineError(error.code, redacted)
  }

  rewrite(
    bytes: Buffer,
    start: number,
    end: number,
    keyStart: number,
    keyEnd: number,
  ): Uint8Array | undefined {
    if (keyEnd === keyStart) return this.#name(bytes, start, end)
    const nature = this.#natureOf(bytes, keyStart, keyEnd)
    if (nature === keyNature.secret) return this.#secret(bytes, start, end)
    if (end - start < textBytesMin) return undefined
    if (bytes[start + traceIdDigits] === dot && isEvaluationId(bytes, keyStart, keyEnd)) {
      return this.#id(bytes, start, end)
    }
    return end - start <= knownTextBytesMax
      ? this.#short(bytes, start, end, nature)
      : this.#redactor.redact(bytes, start, end, this.#onFound, nature)
  }

  /** Models, operations, hosts: as frequent as keys. An id comes once, and costs its copy. */
  #short(bytes: Buffer, start: number, end: number, nature: KeyNature): Uint8Array | undefined {
    const known = this.#known.get(bytes, start, end)
    if (known >= knownText.clean) return undefined
    // What a key spares may be found under another.
    if (nature !== keyNature.any) {
      return this.#redactor.redact(bytes, start, end, this.#onFound, nature)
    }
    if (known === knownText.replaced) {
      const replaced = this.#known.replaced(bytes, start, end)
      for (const kind of replaced.kinds) this.#onFound(kind)
      return replaced.bytes
    }
    this.#kinds.length = 0
    const redacted = this.#redactor.redact(bytes, start, end, this.#onFoundIn, nature)
    if (redacted === undefined) {
      this.#known.add(bytes, start, end, knownText.clean)
      return undefined
    }
    const kinds = [...this.#kinds]
    for (const kind of kinds) this.#onFound(kind)
    this.#known.addReplaced(bytes, start, end, { bytes: redacted, kinds })
    return redacted
  }

  #id(bytes: Buffer, start: number, end: number): Buffer | undefined {
    const id = bytes.toString('utf8', start, end)
    const redacted = redactEvaluationId(this.#redactor, id, this.#onFound)
    return redacted === id ? undefined : Buffer.from(redacted)
  }

  /** Keys and names: few, and the same in every span. */
  #name(bytes: Buffer, start: number, end: number): Uint8Array | undefined {
    const known = this.#known.get(bytes, start, end)
    this.#keyAt = start
    if (known >= knownText.key) {
      this.#keyNature = (known - knownText.key) as KeyNature
      return undefined
    }
    this.#keyNature = keyNatureOf(bytes.toString('latin1', start, end))
    const redacted =
      known === knownText.clean
        ? undefined
        : this.#redactor.redact(bytes, start, end, this.#onFound)
    if (redacted === undefined) {
      this.#known.add(bytes, start, end, knownText.key + this.#keyNature)
    }
    return redacted
  }

  /** The key of a value was the name before it, as a rule. */
  #natureOf(bytes: Buffer, keyStart: number, keyEnd: number): KeyNature {
    return keyStart === this.#keyAt
      ? this.#keyNature
      : keyNatureOf(bytes.toString('latin1', keyStart, keyEnd))
  }

  holdsSecret(bytes: Buffer, keyStart: number, keyEnd: number): boolean {
    return this.#natureOf(bytes, keyStart, keyEnd) === keyNature.secret
  }

  rewrote(service: string): void {
    this.#report(this.#counts, service)
  }

  #report(counts: Map<string, number>, service: string): void {
    for (const [kind, count] of counts) {
      const labels = { kind, service: this.#metrics.capped('service', service) }
      this.#metrics.redacted.inc(labels, count)
    }
    counts.clear()
  }

  #secret(bytes: Buffer, start: number, end: number): Uint8Array | undefined {
    const token = this.#redactor.secret(bytes.toString('utf8', start, end))
    if (token === undefined) return undefined
    this.#onFound('secret')
    return Buffer.from(token)
  }

  readonly #onFound = (kind: string): void => countOne(this.#counts, kind)
  readonly #onFoundIn = (kind: string): void => {
    this.#kinds.push(kind)
  }
}

function countOne(counts: Map<string, number>, kind: string): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1)
}

/** The redaction of each tenant; where nobody asked for any there is none. */
export class Redaction {
  readonly #redactors: Redactors | undefined
  readonly #metrics: Metrics
  readonly #names: Names | undefined
  readonly #of = new WeakMap<Redactor, TenantRedaction>()

  constructor(redactors: Redactors | undefined, metrics: Metrics, names?: Names) {
    this.#redactors = redactors
    this.#metrics = metrics
    this.#names = names
  }

  /** Undefined: nothing is redacted. Waits only for the first request of a tenant, for his keys. */
  of(tenant: string): TenantRedaction | undefined | Promise<TenantRedaction | undefined> {
    if (this.#redactors === undefined) return undefined
    const known = this.#redactors.known(tenant)
    if (known !== undefined) return this.#with(known.redactor, tenant)
    return this.#redactors.of(tenant).then(redactor => this.#with(redactor, tenant))
  }

  #with(redactor: Redactor | undefined, tenant: string): TenantRedaction | undefined {
    if (redactor === undefined) return undefined
    const known = this.#of.get(redactor)
    if (known !== undefined) return known
    const made = new TenantRedaction(redactor, this.#metrics, this.#names?.of(tenant))
    this.#of.set(redactor, made)
    return made
  }
}
