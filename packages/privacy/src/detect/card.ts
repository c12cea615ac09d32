import { luhn } from './checksums.ts'

const grouped = /\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{4}([ -])\d{6}\2\d{4,5}|\d{14,19}/y

/**
 * A payment card at `at`: groups as on the card or none at all, a range that a scheme issues, and Luhn's
 * check. Of numbers drawn at random two in a hundred pass; those of 13 digits are left to the clocks.
 */
export function cardIn(text: string, at: number): { end: number; canonical: string } | undefined {
  grouped.lastIndex = at
  const [whole] = grouped.exec(text) ?? []
  if (whole === undefined) return undefined
  const canonical = whole.replaceAll(/\D/g, '')
  return isIssued(canonical) && luhn(canonical) ? { end: at + whole.length, canonical } : undefined
}

/** Visa, Mastercard, American Express, Discover, Diners Club, JCB, UnionPay, Maestro, Mir, RuPay. */
function isIssued(digits: string): boolean {
  const six = Number(digits.slice(0, 6))
  const two = Math.floor(six / 10_000)
  const four = Math.floor(six / 100)
  switch (digits.length) {
    case 14:
      return two === 36 || two === 38 || two === 39 || (four >= 3000 && four <= 3059)
    case 15:
      return two === 34 || two === 37
    case 16:
      return (
        (two >> 0 >= 51 && two <= 55) ||
        Math.floor(two / 10) === 4 ||
        (four >= 2200 && four <= 2720) ||
        (four >= 3528 && four <= 3589) ||
        four === 6011 ||
        two === 65 ||
        two === 60 ||
        two === 62 ||
        two === 81 ||
        two === 82 ||
        (four >= 6440 && four <= 6499) ||
        two === 50 ||
        (two >= 56 && two <= 58) ||
        two === 67
      )
    case 17:
    case 18:
    case 19:
      return Math.floor(two / 10) === 4
        ? digits.length === 19
        : two === 62 || two === 50 || two === 67
    default:
      return false
  }
}
