import { isTooLong, literal, tooLong } from './imported.ts'

/** A condition on one span, `s`, in CEL; or why it cannot be said. */
export type OttlCondition =
  | { readonly ok: true; readonly cel: string; readonly notes: readonly string[] }
  | { readonly ok: false; readonly why: string }

/**
 * The part of the OpenTelemetry Transformation Language that conditions on spans are mostly written in:
 * comparisons of attributes, resource attributes, name, kind and status with literals, IsMatch, nil,
 * `and`, `or`, `not` and parentheses.
 */
export function ottlCondition(text: string): OttlCondition {
  const tokens = text.match(token)
  if (
    tokens === null ||
    tokens.join('').length !== text.replace(/\s+(?=(?:[^"]*"[^"]*")*[^"]*$)/g, '').length
  ) {
    return { ok: false, why: 'it is written in a way that is not understood' }
  }
  const reader = new Reader(tokens)
  try {
    const cel = reader.disjunction()
    if (!reader.isAtEnd) throw new Refused(`${reader.next} is not understood`)
    return { ok: true, cel, notes: [...reader.notes] }
  } catch (error) {
    if (error instanceof Refused) return { ok: false, why: error.message }
    throw error
  }
}

const token = /"(?:[^"\\]|\\.)*"|==|!=|>=|<=|[<>()[\],]|-?\d+(?:\.\d+)?|[A-Za-z_][\w.]*/g

class Refused extends Error {}

const statusNames: Readonly<Record<string, string>> = {
  STATUS_CODE_UNSET: 'UNSET',
  STATUS_CODE_OK: 'OK',
  STATUS_CODE_ERROR: 'ERROR',
  '0': 'UNSET',
  '1': 'OK',
  '2': 'ERROR',
}

class Reader {
  readonly #tokens: readonly string[]
  #at = 0
  readonly notes = new Set<string>()
  /** Of each key where it was read from. */
  readonly #paths = new Map<string, string>()

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens
  }

  get isAtEnd(): boolean {
    return this.#at === this.#tokens.length
  }

  get next(): string {
    return this.#tokens[this.#at] ?? 'its end'
  }

  disjunction(): string {
    let cel = this.#conjunction()
    while (this.#takes('or')) cel = `${cel} || ${this.#conjunction()}`
    return cel
  }

  #conjunction(): string {
    let cel = this.#negation()
    while (this.#takes('and')) cel = `${cel} && ${this.#negation()}`
    return cel
  }

  #negation(): string {
    if (this.#takes('not')) return `!(${this.#negation()})`
    if (this.#takes('(')) {
      const inner = this.disjunction()
      this.#expect(')')
      return `(${inner})`
    }
    return this.#comparison()
  }

  #comparison(): string {
    if (this.#takes('true')) return 'true'
    if (this.#takes('false')) return 'false'
    if (this.#takes('IsMatch')) {
      this.#expect('(')
      const subject = this.#subject()
      this.#expect(',')
      const pattern = this.#text()
      this.#expect(')')
      const value = subject.startsWith('s.attribute') ? `${subject}.asText()` : subject
      this.notes.add(`IsMatch: ${tooLong}`)
      return `${value}.matches(${literal(pattern)})`
    }
    const subject = this.#subject()
    const operator = this.#take()
    if (!['==', '!=', '<', '<=', '>', '>='].includes(operator)) {
      throw new Refused(`${operator} is no comparison`)
    }
    const value = this.#take()
    return compared(subject, operator, value)
  }

  #subject(): string {
    const path = this.#take().replace(/^span\./, '')
    if (path === 'attributes' || path === 'resource.attributes') {
      this.#expect('[')
      const key = this.#text()
      this.#expect(']')
      if ((this.#paths.get(key) ?? path) !== path) {
        throw new Refused(`${key} is asked of the span and of its resource, which are one here`)
      }
      this.#paths.set(key, path)
      this.notes.add(
        "attributes and resource.attributes are one here: the span's, else its resource's",
      )
      return `s.attribute[${literal(key)}]`
    }
    const subject = {
      name: 's.name',
      kind: 's.kind',
      'kind.string': 's.kind',
      'status.code': 's.status',
    }[path]
    if (subject === undefined) throw new Refused(`${path} is not recorded of a span`)
    return subject
  }

  #text(): string {
    const text = this.#take()
    if (!text.startsWith('"')) throw new Refused(`${text} is no text in quotes`)
    return JSON.parse(text) as string
  }

  #take(): string {
    const taken = this.next
    if (this.isAtEnd) throw new Refused('it ends too early')
    this.#at++
    return taken
  }

  #takes(wanted: string): boolean {
    if (this.next !== wanted) return false
    this.#at++
    return true
  }

  #expect(wanted: string): void {
    if (!this.#takes(wanted)) throw new Refused(`${wanted} is missing before ${this.next}`)
  }
}

function compared(subject: string, operator: string, value: string): string {
  if (value === 'nil') {
    if (!subject.startsWith('s.attribute')) throw new Refused(`${subject} is never nil`)
    return operator === '==' ? `!${subject}.isPresent()` : `${subject}.isPresent()`
  }
  if (subject === 's.status' || subject === 's.kind') {
    // They have an order there, by number; here they are names.
    if (!['==', '!='].includes(operator)) throw new Refused(`${subject} has no order here`)
    const name = subject === 's.status' ? statusNames[value] : kindOf(value)
    if (name === undefined) throw new Refused(`${value} is no value of ${subject}`)
    return `${subject} ${operator} ${literal(name)}`
  }
  const isLiteral = /^("|-?\d|true$|false$)/.test(value)
  if (!isLiteral) throw new Refused(`${value} is no literal`)
  if (value.startsWith('"') && !['==', '!='].includes(operator)) {
    throw new Refused('texts are not compared by order here')
  }
  if (value.startsWith('"') && isTooLong(JSON.parse(value))) throw new Refused(tooLong)
  return `${subject} ${operator} ${value}`
}

const kinds = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']

function kindOf(value: string): string | undefined {
  const name = value
    .replace(/^SPAN_KIND_/, '')
    .replaceAll('"', '')
    .toLowerCase()
  return kinds.includes(name) ? name : kinds[Number(value)]
}
