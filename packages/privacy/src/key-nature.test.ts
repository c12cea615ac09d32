import { expect, test } from 'vitest'
import { keyNature, keyNatureOf } from './key-nature.ts'

test('a key says what its value is; somebody’s id, a session and a thread are no things', () => {
  const keys: readonly (readonly [nature: number, names: string])[] = [
    [keyNature.secret, 'db.password api_key http.request.header.authorization client-secret'],
    [keyNature.version, 'service.version appVersion os.description user_agent.original version'],
    [keyNature.version, 'telemetry.sdk.version process.runtime.version http.user_agent'],
    [keyNature.thing, 'order_id orderId trace_id span_ids gen_ai.tool.call.id document.id sku'],
    [keyNature.any, 'user.id session.id thread_id customer_id account.id gen_ai.conversation.id'],
    [
      keyNature.any,
      'identity_document_id conversion agent.name client.address input.value reorder.id',
    ],
  ]
  for (const [nature, names] of keys) {
    for (const name of names.split(' ')) expect(keyNatureOf(name), name).toBe(nature)
  }
  expect(keyNatureOf(`${'a'.repeat(120)}.version`)).toBe(keyNature.version)
  expect(keyNatureOf(`${'a'.repeat(121)}.version`)).toBe(keyNature.any)
})
