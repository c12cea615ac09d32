import { randomBytes } from 'node:crypto'
import { afterAll } from 'vitest'
import { hotStoreContract } from '../../packages/storage/src/hot-store.contract.ts'
import { sharedOpenSearch } from './opensearch/shared.ts'
import { openTestStore, removeIndices } from './opensearch/store.ts'

const opensearch = await sharedOpenSearch()
if (opensearch !== undefined) {
  const { url } = opensearch
  const prefixes: string[] = []
  hotStoreContract(`opensearch ${opensearch.version}`, async life => {
    const indexPrefix = `contract-${randomBytes(6).toString('hex')}`
    prefixes.push(indexPrefix)
    return openTestStore(url, { indexPrefix, ...(life !== undefined && { life }) })
  })
  afterAll(() => removeIndices(url, prefixes))
}
