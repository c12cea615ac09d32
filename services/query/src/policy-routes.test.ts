import { expect, test } from 'vitest'
import { type Policies, type PolicyChange, postPolicy } from './policy-routes.ts'

/** What the API hands on of a request made with a key of this name. */
async function said(keyName: string | undefined, body: object): Promise<PolicyChange> {
  let handed: PolicyChange = {}
  const take = async (request: PolicyChange) => {
    handed = request
    return { kind: 'applied', applied: {}, before: null } as const
  }
  const policies = { apply: take, release: take } as Partial<Policies> as Policies
  await postPolicy(policies, keyName, body)
  return handed
}

test.each([{ version: 'v-' }, { release: true }])(
  'who signs a policy as another has the name of the key beside it: %o',
  async what => {
    expect(await said('ci', { ...what, author: 'ada' })).toMatchObject({ author: 'ada', key: 'ci' })
    expect(await said('ci', { ...what, author: 'ci' })).not.toHaveProperty('key')
    expect(await said('ci', what)).toMatchObject({ author: 'ci' })
    expect(await said('ci', what)).not.toHaveProperty('key')
    expect(await said(undefined, { ...what, author: 'ada' })).not.toHaveProperty('key')
    await expect(said('ci', { ...what, key: 'boss' })).rejects.toThrow()
  },
)
