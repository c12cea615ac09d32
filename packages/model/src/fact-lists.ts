// Hot: the lists of every slice that has some, once a reader.
import { expandFactText, type FactTextSource, factToken } from './fact-tokens.ts'
import type { SliceFacts } from './facts.ts'

/** What a slice's facts list beside its spans. */
export type SliceLists = Omit<SliceFacts, 'startNs' | 'endNs' | 'spans'>

type Loose = { readonly [K in keyof SliceLists]?: unknown }

/**
 * What a text in tokens lists; undefined where it is none. Whether the members are what they should be
 * is not looked at. As assemblers write the lists they are read without the JSON that they stand for,
 * which costs a third; whatever is written otherwise is spelled out and parsed.
 */
export function parseFactLists(
  text: string,
  source: FactTextSource | undefined,
): Loose | undefined {
  const lists: { roots?: unknown; errors?: unknown; outcomes?: unknown } = {}
  begin(text, source)
  let from = 0
  if (next === roots) {
    const list = readList()
    if (list === undefined) return parseExpanded(text, source)
    lists.roots = list
    from = at
  }
  if (next === errors) {
    const list = readList()
    if (list === undefined) return parseExpanded(text, source)
    lists.errors = list
    from = at
  }
  if (next === outcomes) {
    const list = readList()
    if (list === undefined) return parseExpanded(text, source)
    lists.outcomes = list
    from = at
  }
  if (from === text.length) return lists
  const rest = parseExpanded(text.slice(from), source)
  // A comma with nothing behind it is a member by itself, and none at the end of others.
  if (rest === undefined || isEmpty(rest)) return from === 0 ? rest : undefined
  return { ...lists, ...rest }
}

function isEmpty(members: Loose): boolean {
  for (const _ in members) return false
  return true
}

/** By way of the JSON that the text stands for. */
function parseExpanded(text: string, source: FactTextSource | undefined): Loose | undefined {
  const json = expandFactText(text, source)
  if (json === undefined || !json.startsWith(',')) return undefined
  try {
    return JSON.parse(`{${json.slice(1)}}`) as Loose
  } catch {
    return undefined
  }
}

/** The key that a token stands for, where it does and a value follows. */
const keyOf: readonly (string | undefined)[] = keys()

function keys(): (string | undefined)[] {
  const of: (string | undefined)[] = []
  const { openSpanId, spanId, openName, name, ...named } = factToken
  for (const [key, token] of Object.entries(named)) of[token.charCodeAt(0)] = key
  of[openSpanId.charCodeAt(0)] = 'spanId'
  of[spanId.charCodeAt(0)] = 'spanId'
  of[openName.charCodeAt(0)] = 'name'
  of[name.charCodeAt(0)] = 'name'
  return of
}

const code = (token: string): number => token.charCodeAt(0)
const roots = code(factToken.roots)
const errors = code(factToken.errors)
const outcomes = code(factToken.outcomes)
const openSpanId = code(factToken.openSpanId)
const openName = code(factToken.openName)
const firstKey = code(factToken.openSpanId)
const lastKey = code(factToken.unsupported)
const startNs = code(factToken.startNs)
const durationMs = code(factToken.durationMs)
const sliceStart = code(factToken.sliceStart)
const idOfSpan = 0x13
const comma = 0x2c
const closing = 0x7d
const bracket = 0x5d
const isError = ',"error":true'

/** Where the text is read, and the character there; NaN behind its end. */
let facts = ''
let named: FactTextSource | undefined
let at = 0
let next = 0

function begin(of: string, from: FactTextSource | undefined): void {
  facts = of
  named = from
  at = 0
  next = of.charCodeAt(0)
}

function step(characters: number): void {
  at += characters
  next = facts.charCodeAt(at)
}

/** From the token that opens it to its bracket. Undefined: it is written otherwise. */
function readList(): unknown[] | undefined {
  const list: unknown[] = []
  step(1)
  for (;;) {
    if (next !== openSpanId && next !== openName) return undefined
    const member = readMember()
    if (member === undefined) return undefined
    list.push(member)
    const end = next
    step(1)
    if (end === bracket) return list
    if (end !== comma) return undefined
  }
}

function readMember(): Record<string, unknown> | undefined {
  const member: Record<string, unknown> = {}
  for (let before = 0; next >= firstKey && next <= lastKey; ) {
    const token = next
    const opens = token === openSpanId || token === openName
    if (opens !== (before === 0)) return undefined
    if ((token === durationMs) !== (before === startNs)) return undefined
    step(1)
    const value = token === startNs ? readStart() : readValue()
    if (value === undefined) return undefined
    member[keyOf[token] as string] = value
    before = token
  }
  if (next === comma && facts.startsWith(isError, at)) {
    member.error = true
    step(isError.length)
  }
  if (next !== closing) return undefined
  step(1)
  return member
}

/** The text that the token of a duration ends. */
function readStart(): string | undefined {
  if (next === sliceStart) {
    step(1)
    return next === durationMs ? named?.startNs : undefined
  }
  const from = at
  while (next >= 0x30 && next <= 0x39) step(1)
  return next === durationMs ? facts.slice(from, at) : undefined
}

function readValue(): string | number | boolean | undefined {
  if (next === 0x22) return readString()
  if (next === idOfSpan) {
    if (at + 2 >= facts.length) return undefined
    const id = named?.idOf(facts.charCodeAt(at + 1) | (facts.charCodeAt(at + 2) << 7))
    step(3)
    return id
  }
  if (next === 0x74 && facts.startsWith('true', at)) {
    step(4)
    return true
  }
  if (next === 0x66 && facts.startsWith('false', at)) {
    step(5)
    return false
  }
  return readNumber()
}

/** One without escapes, and without tokens, which would stand for something else. */
function readString(): string | undefined {
  const from = at + 1
  for (let end = from; end < facts.length; end++) {
    const character = facts.charCodeAt(end)
    if (character === 0x22) {
      step(end + 1 - at)
      return facts.slice(from, end)
    }
    if (character < 0x20 || character === 0x5c) return undefined
  }
  return undefined
}

/** One as JSON has it, without an exponent or a sign. */
function readNumber(): number | undefined {
  const from = at
  while (next >= 0x30 && next <= 0x39) step(1)
  const digits = at - from
  if (digits === 0 || (digits > 1 && facts.charCodeAt(from) === 0x30)) return undefined
  if (next === 0x2e) {
    step(1)
    const point = at
    while (next >= 0x30 && next <= 0x39) step(1)
    if (at === point) return undefined
  }
  return next === comma || next === closing || next < 0x20
    ? Number(facts.slice(from, at))
    : undefined
}
