/**
 * Most digits of a number by its calling code, the code among them: what follows belongs to something
 * else. Every other code has E.164's fifteen.
 */
const digitsMaxOf: Readonly<Record<string, number>> = {
  1: 11,
  7: 11,
  20: 12,
  27: 11,
  30: 12,
  31: 11,
  32: 11,
  33: 11,
  34: 11,
  36: 11,
  39: 13,
  40: 11,
  41: 11,
  43: 13,
  44: 12,
  45: 10,
  46: 12,
  47: 10,
  48: 11,
  49: 13,
  52: 13,
  54: 13,
  55: 13,
  61: 11,
  62: 14,
  64: 12,
  65: 10,
  66: 11,
  81: 12,
  82: 12,
  84: 12,
  86: 13,
  90: 12,
  91: 12,
  351: 12,
  353: 12,
  358: 13,
  380: 12,
  420: 12,
  421: 12,
  852: 11,
  971: 12,
  972: 12,
}
/** Codes of two digits that countries have; those of three begin with what is left. */
const codesOfTwo = /^(?:2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])/

/** Space, no-break space (two bytes of UTF-8), and what people put between groups. */
const gap = '[ .\\-/()\\xa0\\xc2]{0,3}'
const international = new RegExp(`\\+\\(?\\d(?:${gap}\\d){7,14}(?!\\d)`, 'y')
const dialled = /00[1-9]\d{0,2}(?:[ .\-/()]{1,2}\d{1,8}){2,5}(?!\d)/y
const northAmerican = /(?:\+?1[ .-])?(?:\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}([.-])\d{3}\1\d{4})(?!\d)/y
const french = /0[1-9](?:([ .-])\d{2})(?:\1\d{2}){3}(?![ .-]?\d)/y
const trunk = /\(?0[1-9]\d{1,3}\)?(?: ?\/ ?| )\d{3,8}(?:[ -]\d{2,6}){0,2}(?!\d)/y
const spoken = /\(?\d(?:[ .\-()]{0,2}\d){6,13}(?!\d)/y

/** Right in front of a number, with no other digits between. */
const calledPhone =
  /(?:phone|\btel|telef|mobile|\bcell|whatsapp|\bsms\b|\bfax|\bdial|handy|m[oó]vil|num[eé]ro|call (?:me|us|him|her|them|back|at|on)|reach (?:me|us|him|her|them))[^0-9]{0,20}$/i

/**
 * A telephone number at `at`: international, in the shapes of North America, France and those that dial 0
 * first, or any other after a word that says so. Digits in a row are none by themselves.
 */
export function phoneIn(
  text: string,
  at: number,
  /** Some word stands in front of it; without one this need not be looked for. */
  mayBeCalled = true,
): { readonly end: number; readonly canonical: string } | undefined {
  if (text.charAt(at) === '+') return internationalIn(text, at)
  const shape = shapeAt(text, at)
  if (shape !== undefined) return shape
  if (!mayBeCalled || !calledPhone.test(text.slice(0, at))) return undefined
  const found = matchAt(spoken, text, at)
  return found === undefined ? undefined : numberOf(at, found)
}

function shapeAt(text: string, at: number) {
  const first = text[at] === '(' ? text[at + 1] : text[at]
  const american = matchAt(northAmerican, text, at)
  if (american !== undefined) return numberOf(at, american)
  if (first !== '0') return undefined
  const shape = matchAt(french, text, at) ?? matchAt(dialled, text, at)
  if (shape !== undefined) return numberOf(at, shape)
  const national = matchAt(trunk, text, at)
  if (national === undefined) return undefined
  const count = national.replaceAll(/\D/g, '').length
  return count >= 10 && count <= 12 ? numberOf(at, national) : undefined
}

function internationalIn(text: string, at: number) {
  const whole = matchAt(international, text, at)
  if (whole === undefined) return undefined
  const digits = whole.replaceAll(/\D/g, '')
  const code = digits[0] === '1' || digits[0] === '7' ? 1 : codesOfTwo.test(digits) ? 2 : 3
  if (digits[0] === '0') return undefined
  const most = digitsMaxOf[digits.slice(0, code)] ?? 15
  if (digits.length <= most) return numberOf(at, whole)
  // Another number follows: it ends with the last group that fits.
  let count = 0
  let end = 0
  for (const group of whole.matchAll(/\d+/g)) {
    count += group[0].length
    if (count > most) break
    end = group.index + group[0].length
  }
  return end < 9 ? undefined : numberOf(at, whole.slice(0, end))
}

function matchAt(shape: RegExp, text: string, at: number): string | undefined {
  shape.lastIndex = at
  return shape.exec(text)?.[0]
}

function numberOf(at: number, whole: string) {
  const digits = whole.replaceAll(/\D/g, '')
  const isWorldwide = whole.startsWith('+')
  return {
    end: at + whole.length,
    canonical: isWorldwide ? `+${digits}` : digits.replace(/^00/, '+'),
  }
}
