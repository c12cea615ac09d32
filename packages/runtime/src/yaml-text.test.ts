import { expect, test } from 'vitest'
import { yamlBytesMax, yamlDepthMax, yamlLinesMax, yamlTextMistake } from './yaml-text.ts'

test('a text at the limit of bytes is let through, one past it is named', () => {
  expect(yamlTextMistake('#'.repeat(yamlBytesMax))).toBeUndefined()
  expect(yamlTextMistake('#'.repeat(yamlBytesMax + 1))).toContain(`more than ${yamlBytesMax}`)
})

test('a text at the limit of depth is let through, one past it is named', () => {
  for (const mark of ['[', '{', '- ', '? ']) {
    expect(yamlTextMistake(`a: 1\n${mark.repeat(yamlDepthMax)}`), mark).toBeUndefined()
    expect(yamlTextMistake(`a: 1\n${mark.repeat(yamlDepthMax + 1)}`), mark).toContain('deeper')
  }
  expect(yamlTextMistake(`a: {}${'- '.repeat(yamlDepthMax + 1)}`)).toContain('deeper')
  expect(yamlTextMistake('[]{}'.repeat(1_000))).toBeUndefined()
})

test('a text at the limit of lines is let through, one past it is named', () => {
  expect(yamlTextMistake('\n'.repeat(yamlLinesMax - 1))).toBeUndefined()
  expect(yamlTextMistake('\n'.repeat(yamlLinesMax))).toContain(`more than ${yamlLinesMax}`)
})
