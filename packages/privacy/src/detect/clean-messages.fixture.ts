/**
 * Messages as agents and their tools write them, full of what looks like identifiers and is none: dates,
 * prices, hashes, UUIDs, ids of traces, SKUs, versions of four numbers, user agents, code, tables of numbers.
 */
export function cleanMessages(count: number, seed: number): string[] {
  const random = seededRandom(seed)
  const int = (below: number): number => Math.floor(random() * below)
  const digits = (length: number): string =>
    Array.from({ length }, (_, i) => (i === 0 ? 1 + int(9) : int(10))).join('')
  const hex = (length: number): string =>
    Array.from({ length }, () => '0123456789abcdef'.charAt(int(16))).join('')
  const word = (): string => words[int(words.length)] as string
  const capitals = (length: number): string =>
    Array.from({ length }, () => String.fromCharCode(65 + int(26))).join('')
  const two = (below: number): string => String(1 + int(below)).padStart(2, '0')
  const date = (): string => `20${20 + int(8)}-${two(12)}-${two(28)}`
  const prose = (length: number): string => Array.from({ length }, word).join(' ')
  const kinds: readonly (() => string)[] = [
    () => `Your order ${digits(4)} of ${date()} arrives in ${1 + int(9)} to ${10 + int(9)} days.`,
    () =>
      `The refund of $${int(999)}.${two(98)} (${digits(2)} % of ${digits(3)},${digits(3)}.00 EUR) was booked.`,
    () =>
      `Trace ${hex(32)}, span ${hex(16)}, sampled at ${date()}T${two(22)}:${two(58)}:${two(58)}.${digits(3)}Z.`,
    () =>
      `Session ${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)} ended after ${digits(5)} ms.`,
    () =>
      JSON.stringify({
        id: `call_${hex(24)}`,
        sku: `${capitals(3)}-${digits(5)}-${capitals(2)}`,
        quantity: int(100),
        total: Number(digits(7)) / 100,
      }),
    () =>
      `Installed ${word()}@${int(20)}.${int(20)}.${int(20)} and ${word()} v${int(9)}.${int(99)}.${int(9)}.${int(99)} in ${digits(3)}ms`,
    () =>
      `function ${word()}(${word()}: number) { return ${word()}.map(x => x * ${digits(3)}) } // ${prose(4)}`,
    () => `sha256:${hex(64)} and commit ${hex(40)}; build ${digits(10)}, epoch ${digits(13)}`,
    () => `| ${Array.from({ length: 6 }, () => digits(1 + int(6))).join(' | ')} |`,
    () => `[${Array.from({ length: 8 }, () => random().toFixed(4 + int(12))).join(', ')}]`,
    () =>
      `const ${word()}Id = "${word()}_${digits(12)}"; std::${word()}::${word()} a::b; time 12:${two(58)}:${two(58)}`,
    () =>
      `See https://docs.example.com/${word()}/${word()}?page=${int(99)}#s-${digits(3)} and section ${int(9)}.${int(9)}.${int(9)}.`,
    () =>
      `Flight ${capitals(2)}${digits(4)}, seat ${int(40)}A, gate ${capitals(1)}${int(60)}, ${date()} ${two(22)}:${two(58)}`,
    () =>
      `Invoice INV-${date().slice(0, 4)}-${digits(6)}: ${int(20)} x ${digits(2)}.99 = ${digits(3)}.80, due 2${int(9)}.0${1 + int(9)}.2027`,
    () => `${prose(20 + int(40))}.`,
    () =>
      `SELECT ${word()}, count(*) FROM ${word()} WHERE id IN (${Array.from({ length: 6 }, () => digits(8)).join(', ')}) LIMIT ${digits(3)}`,
    () =>
      `at ${word()} (/app/src/${word()}/${word()}.ts:${digits(3)}:${digits(2)})\n    at async ${word()} (node:internal/process:${digits(2)}:5)`,
    () =>
      `Tracking 1Z${capitals(1)}${digits(3)}${capitals(2)}${digits(10)}; weight ${int(40)}.${digits(2)} kg; ISBN 978-${int(9)}-${digits(2)}-${digits(6)}-${int(9)}`,
    () => `${prose(6)} ${digits(6)} ${prose(3)} ${digits(7)} ${prose(2)} ${digits(9)}.`,
    () =>
      JSON.stringify({
        latitude: random() * 180 - 90,
        longitude: random() * 360 - 180,
        ts: Number(digits(16)),
        model: `claude-3-5-sonnet-20241022`,
        tokens: int(9000),
      }),
    () => Buffer.from(prose(12)).toString('base64'),
    () =>
      `https://shop.example.com/search?q=${encodeURIComponent(prose(4))}&from=${date()}&max=${digits(4)}`,
    () =>
      `The password must have ${8 + int(8)} characters, a digit and a letter; the token expires in ${digits(4)} s. API key rotation: ${prose(3)}.`,
    () =>
      `@${word()} please review PR #${digits(4)} (${word()}/${word()}@${hex(7)}) before ${date()}`,
    ...versionMessages({ int, digits, hex, word, capitals }),
  ]
  return Array.from({ length: count }, (_, index) =>
    [kinds[index % kinds.length], kinds[int(kinds.length)]].map(make => make?.()).join(' '),
  )
}

interface Draws {
  readonly int: (below: number) => number
  readonly digits: (length: number) => string
  readonly hex: (length: number) => string
  readonly word: () => string
  readonly capitals: (length: number) => string
}

/** User agents, versions of four numbers, numbers of parts and of units. */
function versionMessages({ int, digits, hex, word, capitals }: Draws): readonly (() => string)[] {
  return [
    () =>
      `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${100 + int(40)}.0.${int(7000)}.${int(200)} Safari/537.36 Edg/${100 + int(40)}.0.${int(250)}.${int(200)}`,
    () =>
      `Mozilla/5.0 (Linux; Android 1${int(5)}; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${100 + int(40)}.0.0.0 Mobile Safari/537.36 ${word()}/${int(20)}.${int(20)}.${int(99)}.${int(250)}`,
    () =>
      JSON.stringify({
        version: `${int(20)}.${int(20)}.${int(99)}.${int(250)}`,
        assembly: `${word()}, Version=${int(9)}.${int(9)}.${int(9)}.${int(9)}, Culture=neutral, PublicKeyToken=${hex(16)}`,
        agent: `${word()}-sdk/${1 + int(9)}.0.0.0 build ${int(9)}.${int(9)}.${int(99)}.${int(99)}`,
      }),
    () =>
      `part ${capitals(2)}${digits(6)}${capitals(1)}, ${digits(2)} ${digits(3)} ${digits(3)} ${digits(3)} units`,
  ]
}

/** mulberry32: the same seed gives the same messages on every machine. */
function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const words =
  'order refund window policy courtesy late delivery customer agent check return label warehouse status shipped total invoice answer question search result document section budget latency model prompt token user message tool call retry error success queue partition stream window'.split(
    ' ',
  )
