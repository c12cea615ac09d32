import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import {
  clearTextLengthMax,
  clearTextWordsMax,
  isClearText,
  isNamedContent,
  type Level,
  levelOf,
  levelTable,
} from './levels.ts'

test('a key that no list names is content', () => {
  for (const key of ['', 'foo', 'session.id.x', 'Session.Id', 'gen_ai.usage.custom', '__proto__']) {
    expect(levelOf(key), key).toBe('content')
  }
})

test('every attribute of trace 48f has the level the seed gives it', () => {
  const levels: Record<Level, string[]> = {
    structural:
      `service.name deployment.env experiment.id experiment.variant app.prompt.version app.tenant.tier
      app.locale http.route outcome.policy_correct outcome.csat_response gen_ai.system
      gen_ai.request.model gen_ai.usage.input_tokens gen_ai.usage.output_tokens gen_ai.cost_usd vector.dim
      vectordb.system vectordb.index retrieval.k retrieval.scores rerank.model rerank.top1_score
      rerank.changed_top1 prompt.system_tokens prompt.retrieval_tokens prompt.user_tokens
      prompt.tool_tokens citation.claims_extracted citation.claims_supported judge.rubric_version
      judge.score judge.label`.split(/\s+/),
    structured: `session.id user.id_hash gen_ai.response.id retrieval.doc_ids rerank.top1_id
      prompt.composition_hash`.split(/\s+/),
    content: `user.message assistant.message input.preview output citation.unsupported
      judge.rationale`.split(/\s+/),
  }
  for (const [level, keys] of Object.entries(levels)) {
    for (const key of keys) expect(levelOf(key), key).toBe(level)
  }
})

test('an index in a key is read as N, and only where a list says so', () => {
  expect(levelOf('gen_ai.prompt.0.role')).toBe('structural')
  expect(levelOf('gen_ai.prompt.12.content')).toBe('content')
  expect(levelOf('llm.input_messages.3.message.tool_calls.1.tool_call.id')).toBe('structured')
  expect(levelOf('retrieval.documents.7.document.id')).toBe('structured')
  expect(levelOf('service.0.name')).toBe('content')
  expect(levelOf('gen_ai.prompt.0x1.role')).toBe('content')
})

test('a key is named content by itself, by an index or by a prefix, and not for being unknown', () => {
  for (const { pattern, level } of levelTable().slice(0, -1)) {
    const key = pattern.replaceAll('N', '3').replace('*', 'some.rest')
    expect(isNamedContent(key), pattern).toBe(level === 'content')
  }
  for (const key of ['foo', 'tier', 'user.messages', 'User.Message', '']) {
    expect(isNamedContent(key), key).toBe(false)
  }
  // A pattern does not take a key that another list names.
  expect(isNamedContent('llm.input_messages.3.message.tool_calls.1.tool_call.id')).toBe(false)
})

test('no key stands in two lists, and only content has open patterns', () => {
  const rows = levelTable()
  expect(new Set(rows.map(row => row.pattern)).size).toBe(rows.length)
  for (const { pattern, level } of rows) {
    if (pattern.includes('*')) expect(level, pattern).toBe('content')
  }
  expect(rows.at(-1)).toEqual({ pattern: '*', level: 'content' })
})

test('what the table prints is what levelOf answers', () => {
  for (const { pattern, level } of levelTable()) {
    const key = pattern.replaceAll('N', '3').replace('*', 'some.rest')
    expect(levelOf(key), pattern).toBe(level)
  }
})

test('a million different keys do not change an answer', () => {
  for (let n = 0; n < 20_000; n++) levelOf(`made.up.${n}`)
  expect(levelOf('service.name')).toBe('structural')
  expect(levelOf('made.up.1')).toBe('content')
})

test('free text under a clear key is content at the limits and one past them', () => {
  expect(isClearText('x'.repeat(clearTextLengthMax))).toBe(true)
  expect(isClearText('x'.repeat(clearTextLengthMax + 1))).toBe(false)
  expect(isClearText(Array(clearTextWordsMax).fill('word').join(' '))).toBe(true)
  expect(
    isClearText(
      Array(clearTextWordsMax + 1)
        .fill('word')
        .join('\n'),
    ),
  ).toBe(false)
})

test('the README shows the table’s size as it is', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const count = (level: Level): number => levelTable().filter(row => row.level === level).length
  expect(readme).toContain(
    `${count('structural')} structural, ${count('structured')} structured and ${count('content')} content patterns`,
  )
})
