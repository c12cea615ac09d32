import { expect, test } from 'vitest'
import { printable, printableIn } from './printable.ts'

test('what a terminal would act upon is shown, the rest stays as it is', () => {
  const cases = {
    'refund_chat.turn · 日本語 ü 🙂': 'refund_chat.turn · 日本語 ü 🙂',
    '\u001b[2Jgone': '\\x1b[2Jgone',
    '\u001b]52;c;cm0=\u0007': '\\x1b]52;c;cm0=\\x07',
    'one\nKEPT  two\r\n\tx': 'one\\nKEPT  two\\r\\n\\tx',
    '\u009b31m\u007f': '\\x9b31m\\x7f',
    'abc\u202edcba\u2066\u2028': 'abc\\u202edcba\\u2066\\u2028',
  }
  for (const [text, shown] of Object.entries(cases)) expect(printable(text)).toBe(shown)
})

test('in an answer every text is, however deep, and numbers stay numbers', () => {
  const answer = { a: ['\u001b', { '\u0007': 'x\n', n: 1.5, none: null }], is: true, k: '' }
  expect(printableIn(answer)).toEqual({
    a: ['\\x1b', { '\\x07': 'x\\n', n: 1.5, none: null }],
    is: true,
    k: '',
  })
})
