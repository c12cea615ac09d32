import { expect, test } from 'vitest'
import { jsonText } from './fact-text.ts'
import { KnownTexts, knownBytesMax } from './known-texts.ts'

test('a text is its JSON, whether it was there before or another had its place', () => {
  const known = new KnownTexts()
  const texts = Array.from({ length: 3000 }, (_, at) => `név "${at % 1500}"\n`)
  const long = ['', 'x'.repeat(knownBytesMax), 'x'.repeat(knownBytesMax + 1), 'a\0', '\0a', '\0']
  for (const text of [...texts, ...long, ...long]) {
    const source = Buffer.from(`>${text}<`)
    expect(known.jsonText(source, 1, source.length - 1)).toBe(
      jsonText(source, 1, source.length - 1),
    )
  }
})
