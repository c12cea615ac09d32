import { decodeTraces, encodeTraces } from '@winnow/otlp'
import { detectedKinds, Redactors, SharedTokenKeys } from '@winnow/privacy'
import { Metrics } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { Redaction, type TenantRedaction } from './redaction.ts'

const keys = new SharedTokenKeys([{ id: 5, bytes: Buffer.alloc(32, 1) }])
const settings = { redact: true, kinds: detectedKinds, patterns: [] }

async function redactionOf(): Promise<TenantRedaction> {
  const redactors = new Redactors(
    keys,
    () => settings,
    () => 0,
  )
  const redaction = await new Redaction(redactors, new Metrics()).of('default')
  if (redaction === undefined) throw new Error('nothing is redacted')
  return redaction
}

test('what a key says of its value decides, and not what was found of the same text under another', async () => {
  const redaction = await redactionOf()
  const pairs: readonly (readonly [key: string, text: string, out: string | RegExp])[] = [
    ['service.version', '1.2.3.4', '1.2.3.4'],
    ['process.runtime.version', '17.0.8.1+1-LTS', '17.0.8.1+1-LTS'],
    ['user_agent.original', 'x/1 Chrome/120.0.6099.1 y', 'x/1 Chrome/120.0.6099.1 y'],
    ['order_id', '4111111111111111', '4111111111111111'],
    ['client.address', '1.2.3.4', /^<ip:/],
    ['session.id', '4111111111111111', /^<card:/],
    ['user_id', '4111111111111111', /^<card:/],
    ['service.version', '1.2.3.4', '1.2.3.4'],
    ['service.version', 'of maria@example.com', /^of <email:/],
    ['db.password', 'correct horse', /^<secret:/],
    ['db.password', '<secret:e_012345678901>', '<secret:e_012345678901>'],
    ['db.password', '[REDACTED]', '[REDACTED]'],
    ['maria@example.com.password', 'horse', /^<secret:/],
  ]
  const attributes = pairs.map(([key, stringValue]) => ({ key, value: { stringValue } }))
  const resource = { attributes, droppedAttributesCount: 0 }
  const data = { resourceSpans: [{ resource, scopeSpans: [], schemaUrl: '' }] }
  for (let round = 0; round < 2; round++) {
    const out = decodeTraces(redaction.otlp(Buffer.from(encodeTraces(data)), 'traces'))
    const values = out.resourceSpans[0]?.resource?.attributes.map(({ value }) => value)
    for (const [index, [key, , expected]] of pairs.entries()) {
      const stringValue = typeof expected === 'string' ? expected : expect.stringMatching(expected)
      expect(values?.[index], key).toEqual({ stringValue })
    }
  }
})

test('everything under the key of a secret is one, also in JSON, and what is hidden stays', async () => {
  const redaction = await redactionOf()
  const given = {
    password: [{ a: 'horse' }, 'hunter two', '<secret:e_012345678901>'],
    authorization: { value: 'opensesame', hidden: '***' },
    version: '1.2.3.4',
    address: '1.2.3.4',
    traceId: '4111111111111111x +14155552671',
  }
  const token = expect.stringMatching(/^<secret:e_5/)
  expect(redaction.json(given)).toEqual({
    password: [{ a: token }, token, '<secret:e_012345678901>'],
    authorization: { value: token, hidden: '***' },
    version: '1.2.3.4',
    address: expect.stringMatching(/^<ip:/),
    traceId: expect.stringMatching(/x <phone:\w+>$/),
  })
  expect(redaction.json(redaction.json(given))).toEqual(redaction.json(given))
})
