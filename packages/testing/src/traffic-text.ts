import { Random } from './random.ts'

/**
 * Free text of any length in no time: slices of one long text made at load. Slices share its memory,
 * so a run of a million spans holds it once. In it: accents, Devanagari, CJK, right-to-left script,
 * emoji beyond the basic plane, mail addresses and telephone numbers, quotes and line breaks.
 */
export function textOf(random: Random, length: number): string {
  const start = wordStarts[random.int(0, wordStarts.length - 1)] as number
  let end = start + Math.min(Math.max(1, Math.round(length)), textLengthMax)
  // A slice that ends within a surrogate pair is no valid UTF-8.
  const last = corpus.charCodeAt(end - 1)
  if (last >= 0xd800 && last < 0xdc00) end += 1
  return corpus.slice(start, end)
}

/** Longest text, in UTF-16 units. */
export const textLengthMax = 40_000

const words = (
  'refund order window delivery courtesy clause policy late customer the a is was for within days from your ' +
  'we please agent tool search document rerank section draft current amount credit card bank account ' +
  'shipping label return box tracking number status pending approved rejected escalate manager answer ' +
  'context retrieved passage citation claim supported unsupported judge rubric score because therefore however ' +
  '{"query": "value"} [1] [2] \\n "quoted" §4.2 ₹1,250 €19,99 naïve façade Größe übermäßig čeština ' +
  'वापसी नीति ग्राहक 返金 注文 お客様 退款 订单 환불 استرداد סליחה 👍 🙏🏽 😡 🇮🇳 ' +
  'priya@acme.example +91-98765-43210 order-4481 sess_91ab https://shop.example/orders/4481?lang=en'
).split(' ')

const commonWords = words.slice(0, 61)

const corpus = makeCorpus()
const wordStarts = startsOf(corpus)

function makeCorpus(): string {
  const random = new Random(48)
  let made = ''
  while (made.length < 4 * textLengthMax) {
    const common = random.chance(0.9)
    made += common ? random.pick(commonWords) : random.pick(words)
    made += random.chance(0.08) ? '. ' : ' '
  }
  return made
}

/** Where a slice may start: at words whose longest slice still lies within the text. */
function startsOf(made: string): number[] {
  const starts: number[] = []
  for (let at = 0; at < made.length - textLengthMax - 2; at = made.indexOf(' ', at) + 1) {
    starts.push(at)
  }
  return starts
}
