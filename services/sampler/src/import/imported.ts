import { factTextBytesMax } from '@winnow/model'
import { checkCondition } from '../condition-check.ts'
import { checkPolicy, reservedNames } from '../policy-file.ts'

/** What a policy of another product becomes: a text of ours, and what it does not say. */
export interface Imported {
  /** A policy file, with comments where something could not be expressed. */
  readonly yaml: string
  /** One line each: where, and what is not expressed or differs. */
  readonly lines: readonly string[]
  /** The policy says all that the source said. Lines that begin with `note` are none of the differences. */
  readonly isWhole: boolean
}

/** A rule as an importer makes it: traces that `when` matches are kept with a probability. */
export interface Draft {
  readonly name: string
  /** In CEL. */
  readonly when: string
  readonly probability: number
  readonly comments: readonly string[]
}

/** What an importer has to say, in the order of the source. */
export class Remarks {
  readonly lines: string[] = []
  isWhole = true

  /** Something is missing or differs in the result. */
  lost(where: string, what: string): string {
    this.isWhole = false
    return this.#say(`${where}: not expressed: ${what}`)
  }

  /** Something to know; what the policy says is the same. */
  note(where: string, what: string): string {
    return this.#say(`${where}: note: ${what}`)
  }

  #say(line: string): string {
    this.lines.push(line)
    return line
  }
}

/** Why a text or a pattern may miss, see {@link factTextBytesMax}. */
export const tooLong = `a text of more than ${factTextBytesMax} bytes is no fact here, and matches nothing`

export const isTooLong = (text: string): boolean => Buffer.byteLength(text) > factTextBytesMax

/** As CEL writes it. */
export function literal(value: string | number | boolean): string {
  return JSON.stringify(value)
}

export const parenthesised = (cel: string): string =>
  /^[\w.]+$/.test(cel) || isCall(cel) ? cel : `(${cel})`

const isCall = (cel: string): boolean => /^!?\([^()]*\)$/.test(cel)

export function allOf(terms: readonly string[]): string {
  const own = [...new Set(terms)].filter(term => term !== 'true')
  if (own.length === 0) return 'true'
  return own.length === 1 ? (own[0] as string) : own.map(parenthesised).join(' && ')
}

export function anyOf(terms: readonly string[]): string {
  if (terms.includes('true')) return 'true'
  const own = [...new Set(terms)]
  if (own.length === 0) return 'false'
  return own.length === 1 ? (own[0] as string) : own.map(parenthesised).join(' || ')
}

/**
 * The policy file of the drafts, in their order. A draft that is no condition of ours is left out with
 * its reason. `otherwise` is what becomes of traces that none of them matches.
 */
export function policyOf(
  head: readonly string[],
  drafts: readonly Draft[],
  otherwise: number,
  remarks: Remarks,
): Imported {
  const names = new Set<string>(reservedNames)
  const rules: string[] = []
  for (const draft of drafts) {
    const check = checkCondition(draft.when)
    if (!check.ok) {
      const why = check.mistakes.map(({ message }) => message).join('; ')
      rules.push(...comments([remarks.lost(draft.name, `${draft.when}: ${why}`)]))
      continue
    }
    const { orderDependent } = check.condition
    const own = [...draft.comments]
    if (orderDependent !== undefined) {
      own.push(remarks.note(draft.name, `order-dependent: ${orderDependent}`))
    }
    rules.push(...comments(own), ...ruleText(draft, freeName(draft.name, names)))
  }
  rules.push('  - kind: ordinary', `    probability: ${otherwise}`)
  // What belongs to no rule that is there stands before them all.
  const unsaid = remarks.lines.filter(line => !rules.some(text => text.includes(line)))
  const lines = [...comments([...head, ...unsaid], ''), 'version: imported', 'rules:', ...rules]
  const yaml = `${lines.join('\n')}\n`
  for (const mistake of checkPolicy(yaml).mistakes) remarks.lost('the policy', mistake)
  return { yaml, lines: remarks.lines, isWhole: remarks.isWhole }
}

function ruleText({ when, probability }: Draft, name: string): string[] {
  const lines = [
    '  - kind: condition',
    `    name: ${JSON.stringify(name)}`,
    `    when: ${JSON.stringify(when)}`,
  ]
  return probability === 1 ? lines : [...lines, `    probability: ${probability}`]
}

function comments(lines: readonly string[], indent = '  '): string[] {
  return lines.map(line => `${indent}# ${line.replaceAll('\n', ' ')}`)
}

/** Of at most 64 bytes, and no other rule's. */
function freeName(wanted: string, taken: Set<string>): string {
  let base = wanted.trim() === '' ? 'rule' : wanted.trim()
  while (Buffer.byteLength(base) > 60) base = base.slice(0, -1)
  let name = base
  for (let n = 2; taken.has(name); n++) name = `${base}-${n}`
  taken.add(name)
  return name
}
