import { parsePolicy } from '@winnow/sampler'
import { expect, test } from 'vitest'
import { policyText } from './policy-commands.ts'

test('a policy that nobody wrote as a file is shown as one that says the same', async () => {
  const rules = 'rules: [{ kind: span-error }, { kind: ordinary }]'
  const ceilings = 'ceilings: [{ rule: span-error, perMinute: 60 }]'
  const plain = parsePolicy(`version: shown\n${rules}`)
  const limited = parsePolicy(`version: shown\n${rules}\n${ceilings}`)
  expect(parsePolicy(await policyText(plain))).toEqual(plain)
  expect(parsePolicy(await policyText(limited))).toEqual(limited)
})
