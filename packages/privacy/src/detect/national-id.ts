import { luhn, mod11and10, verhoeff, weighted } from './checksums.ts'

/** One country's number: how it is written, what has to hold of it, and where a word must name it first. */
interface IdShape {
  readonly name: string
  /** Digits that its first group may have. */
  readonly groups: readonly number[]
  readonly shape: RegExp
  readonly isRight?: (plain: string) => boolean
  /** Digits that stand for many things are an id only behind such a word. */
  readonly called?: RegExp
}

const control = 'TRWAGMYFPDXBNJZSQVHLCKE'

/** In the order of trial: those that a checksum or their marks make certain come first. */
const shapes: readonly IdShape[] = [
  {
    name: 'us_ssn',
    groups: [3],
    shape: /(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?!\d)/y,
  },
  {
    name: 'fr_nir',
    groups: [1, 3, 5, 7, 10, 13, 15],
    shape: /[1-478] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?\d{2} ?\d{3} ?\d{3} ?\d{2}(?!\d)/y,
    isRight: id => 97 - (Number(id.slice(0, 13)) % 97) === Number(id.slice(13)),
  },
  {
    name: 'cn_resident',
    groups: [17, 18],
    shape: /[1-8]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]/y,
    isRight: id => {
      const sum = weighted(id, [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
      return '10X98765432'.charAt(sum % 11) === id.charAt(17).toUpperCase()
    },
  },
  {
    name: 'se_personnummer',
    groups: [6, 8],
    shape: /(?:19|20)?\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[-+]\d{4}(?!\d)/y,
    isRight: id => luhn(id.slice(-10)),
  },
  {
    name: 'fi_hetu',
    groups: [6],
    shape: /(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{2}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]/y,
    isRight: id => {
      const digits = id.replaceAll(/^(\d{6})\D?(\d{3}).*/g, '$1$2')
      return '0123456789ABCDEFHJKLMNPRSTUVWXY'.charAt(Number(digits) % 31) === id.at(-1)
    },
  },
  {
    name: 'br_cpf',
    groups: [3],
    shape: /\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)/y,
    isRight: isCpf,
  },
  {
    name: 'ch_ahv',
    groups: [3, 13],
    shape: /756\.?\d{4}\.?\d{4}\.?\d{2}(?!\d)/y,
    isRight: id => {
      const sum = weighted(id, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3])
      return (10 - (sum % 10)) % 10 === Number(id.at(-1))
    },
  },
  {
    name: 'be_national',
    groups: [2],
    shape: /\d{2}\.(?:0\d|1[0-2])\.[0-3]\d-\d{3}\.\d{2}(?!\d)/y,
    isRight: id => {
      const check = Number(id.slice(9))
      const born = Number(id.slice(0, 9))
      return 97 - (born % 97) === check || 97 - ((2_000_000_000 + born) % 97) === check
    },
  },
  {
    name: 'in_aadhaar',
    groups: [4],
    shape: /[2-9]\d{3}([ -])\d{4}\1\d{4}(?![ -]?\d)/y,
    isRight: verhoeff,
  },
  {
    name: 'es_dni',
    groups: [8],
    shape: /\d{8}-?[TRWAGMYFPDXBNJZSQVHLCKE]/y,
    isRight: id => control.charAt(Number(id.slice(0, 8)) % 23) === id.at(-1),
  },
  {
    name: 'de_tax',
    groups: [2],
    shape: /[1-9]\d \d{3} \d{3} \d{3}(?! ?\d)/y,
    isRight: mod11and10,
    called: /steuer|\bidnr|tax id|\btin\b/i,
  },
  {
    name: 'de_tax',
    groups: [11],
    shape: /[1-9]\d{10}(?!\d)/y,
    isRight: mod11and10,
    called: /steuer|\bidnr|tax id|\btin\b/i,
  },
  {
    name: 'us_ssn',
    groups: [3, 5, 9],
    shape: /\d{3}[ ]?\d{2}[ ]?\d{4}(?!\d)/y,
    called: /\bssn\b|social security/i,
  },
  {
    name: 'nl_bsn',
    groups: [9],
    shape: /\d{9}(?!\d)/y,
    isRight: id => weighted(id, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0,
    called: /\bbsn\b|burgerservice/i,
  },
  {
    name: 'pl_pesel',
    groups: [11],
    shape: /\d{11}(?!\d)/y,
    isRight: id =>
      (10 - (weighted(id, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10 === Number(id.at(-1)),
    called: /pesel/i,
  },
  { name: 'br_cpf', groups: [11], shape: /\d{11}(?!\d)/y, isRight: isCpf, called: /\bcpf\b/i },
  { name: 'dk_cpr', groups: [6, 10], shape: /[0-3]\d[01]\d{3}-?\d{4}(?!\d)/y, called: /\bcpr\b/i },
  {
    name: 'ca_sin',
    groups: [3, 6, 9],
    shape: /\d{3}[ -]?\d{3}[ -]?\d{3}(?!\d)/y,
    isRight: luhn,
    called: /\bsin\b|social insurance/i,
  },
  {
    name: 'uk_nhs',
    groups: [3, 6, 10],
    shape: /\d{3}[ -]?\d{3}[ -]?\d{4}(?!\d)/y,
    isRight: id =>
      (11 - (weighted(id, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11)) % 11 === Number(id.at(-1)),
    called: /\bnhs\b/i,
  },
]

/** So far in front of an id its name may stand. */
const calledCharsMax = 24

/** An id of digits, its marks and a letter at its end, at `at`. */
export function numericIdIn(text: string, at: number, group: number, isCalled: boolean) {
  for (const { groups, shape, isRight, called } of shapes) {
    if (!groups.includes(group) || (called !== undefined && !isCalled)) continue
    shape.lastIndex = at
    const whole = shape.exec(text)?.[0]
    if (whole === undefined) continue
    if (called !== undefined && !called.test(text.slice(Math.max(0, at - calledCharsMax), at)))
      continue
    const plain = whole.replaceAll(/[ .]|-(?=[\dA-Z]*$)/g, '')
    const canonical = plain.replaceAll('-', '')
    if (isRight === undefined || isRight(canonical)) return { end: at + whole.length, canonical }
  }
  return undefined
}

const foreigner = /[XYZ]-?\d{7}-?[TRWAGMYFPDXBNJZSQVHLCKE]/y
const insurance =
  /(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]/y
const fiscal = /[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]/y

/** In one piece it is a part number as often as not, and it has no checksum: then its name has to stand in front. */
const calledInsurance = /\bnino?\b|national insurance|\bni (?:no|number)/i

/**
 * An id that begins with letters at `at`: Spain's NIE, the United Kingdom's NINO, Italy's
 * codice fiscale.
 */
export function letteredIdIn(text: string, at: number) {
  const nie = exec(foreigner, text, at)
  if (nie !== undefined) {
    const canonical = nie.replaceAll('-', '')
    const number = Number(`${'XYZ'.indexOf(canonical.charAt(0))}${canonical.slice(1, 8)}`)
    if (control.charAt(number % 23) === canonical.at(-1)) {
      return { end: at + nie.length, canonical }
    }
  }
  const nino = exec(insurance, text, at)
  if (nino !== undefined && (nino.includes(' ') || calledInsurance.test(text.slice(0, at)))) {
    return { end: at + nino.length, canonical: nino.replaceAll(' ', '') }
  }
  const code = exec(fiscal, text, at)
  return code !== undefined && isFiscal(code)
    ? { end: at + code.length, canonical: code }
    : undefined
}

function exec(shape: RegExp, text: string, at: number): string | undefined {
  shape.lastIndex = at
  return shape.exec(text)?.[0]
}

function isCpf(digits: string): boolean {
  if (/^(\d)\1*$/.test(digits)) return false
  const check = (count: number): number => {
    let sum = 0
    for (let i = 0; i < count; i++) sum += Number(digits.charAt(i)) * (count + 1 - i)
    return ((sum * 10) % 11) % 10
  }
  return check(9) === Number(digits.charAt(9)) && check(10) === Number(digits.charAt(10))
}

const oddValues = [
  1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
]

function isFiscal(code: string): boolean {
  let sum = 0
  for (let i = 0; i < 15; i++) {
    const char = code.charCodeAt(i)
    const value = char < 58 ? char - 48 : char - 65
    sum += i % 2 === 0 ? (oddValues[value] as number) : value
  }
  return code.charCodeAt(15) - 65 === sum % 26
}
