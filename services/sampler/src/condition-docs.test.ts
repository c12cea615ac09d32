import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { columnBytesMax, columnsMax, rowsBytesMax, rowsMax } from '@winnow/model'
import { expect, test } from 'vitest'
import { nestingMax } from './condition-check.ts'
import { conditionBytesMax, functions } from './condition-environment.ts'
import { conditionFacts } from './condition-facts.ts'
import { patternCharsMax, patternTriesMax } from './condition-pattern.ts'
import { statedFactsMax } from './condition-rule.ts'
import { traceRowsMax } from './condition-view.ts'
import { checkPolicy } from './policy-file.ts'

const file = new URL('../../../docs/policies.md', import.meta.url)

const facts = [
  '| fact | type | moves | recorded | is |',
  '|---|---|---|---|---|',
  ...conditionFacts.map(
    ({ name, type, moves, absent, recorded, meaning }) =>
      `| \`${name}\` | ${type}${absent === true ? ', may be absent' : ''} | ${moves} | ${recorded} | ${meaning} |`,
  ),
]
const calls = [
  '| function | does |',
  '|---|---|',
  ...functions.map(({ name, does }) => `| \`${name}\` | ${does} |`),
]

/** The page with its tables as the code has them. */
function withTables(page: string): string {
  const put = (text: string, name: string, lines: readonly string[]) =>
    text.replace(
      new RegExp(`(<!-- ${name}:[^\\n]*-->\\n)[\\s\\S]*?(<!-- /${name} -->)`),
      (_, open: string, close: string) => `${open}${lines.join('\n')}\n${close}`,
    )
  return put(put(page, 'facts', facts), 'functions', calls)
}

test('docs/policies.md has every fact and function as the code has them; -u writes them', async () => {
  await expect(withTables(readFileSync(file, 'utf8'))).toMatchFileSnapshot(fileURLToPath(file))
})

test('the limits that docs/policies.md states are those of the code', () => {
  const page = readFileSync(file, 'utf8').replaceAll(',', '')
  for (const text of [
    `\`conditionBytesMax\` | ${conditionBytesMax} bytes`,
    `\`patternCharsMax\` | ${patternCharsMax} characters`,
    `\`patternTriesMax\` | ${Math.cbrt(patternTriesMax)}³ ways`,
    `\`nestingMax\` | ${nestingMax}:`,
    `${columnsMax} names in one policy ${columnBytesMax} bytes each`,
    `${rowsMax} distinct rows and ${rowsBytesMax / 1024} KiB a slice`,
    `${traceRowsMax} distinct rows a trace`,
    `${statedFactsMax} facts in an answer`,
  ]) {
    expect(page).toContain(text)
  }
})

test('the policy that docs/policies.md shows is a good one, and monotone', () => {
  const [, yaml] = /```yaml\n([\s\S]*?)```/.exec(readFileSync(file, 'utf8')) ?? []
  const check = checkPolicy(yaml ?? '')
  expect(check.mistakes).toEqual([])
  expect(check.ok && check.notes).toEqual([])
})
