import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import { hotCensusContract } from '../../packages/storage/src/hot-census.contract.ts'
import { hotStoreContract } from '../../packages/storage/src/hot-store.contract.ts'
import { refreshEveryMs } from '../../packages/storage/src/opensearch/opensearch-hot-store.ts'
import { sampleTrace } from '../../packages/storage/src/samples.ts'
import { sharedOpenSearch } from './opensearch/shared.ts'
import { ask, openTestStore, removeIndices } from './opensearch/store.ts'

const opensearch = await sharedOpenSearch()
if (opensearch !== undefined) {
  const { url } = opensearch
  const prefixes: string[] = []
  for (const contract of [hotStoreContract, hotCensusContract]) {
    contract(`opensearch ${opensearch.version}`, async life => {
      const indexPrefix = `contract-${randomBytes(6).toString('hex')}`
      prefixes.push(indexPrefix)
      return openTestStore(url, { indexPrefix, ...(life !== undefined && { life }) })
    })
  }

  test('what the first release wrote is read, and what a newer one wrote is refused by name', async () => {
    const indexPrefix = `golden-${randomBytes(6).toString('hex')}`
    prefixes.push(indexPrefix)
    const store = await openTestStore(url, { indexPrefix })
    const trace = sampleTrace(1)
    const golden = '../../packages/storage/src/golden/opensearch-v1.ndjson'
    const lines = readFileSync(new URL(golden, import.meta.url), 'utf8')
    // The bodies' index is named in the part, too.
    const body = lines.replaceAll(/(index":)"winnow-/g, `$1"${indexPrefix}-`)
    const headers = { 'content-type': 'application/x-ndjson' }
    const path = `${url}/_bulk?refresh=true`
    const reply = await fetch(path, { method: 'POST', headers, body })
    expect(await reply.json()).toMatchObject({ errors: false })
    const read = await store.get('default', trace.decision.traceId)
    expect(read).toEqual({ ...trace, spans: trace.spans.rows() })
    const newer = { script: { source: 'ctx._source.v = 2' } }
    await ask(url, 'POST', `/${indexPrefix}-parts-*/_update_by_query?refresh=true`, newer)
    await new Promise(resolve => setTimeout(resolve, refreshEveryMs))
    await expect(store.get('default', trace.decision.traceId)).rejects.toThrow(
      /CONFIG_INVALID.*format 2, this release reads up to 1/,
    )
    await store.close()
  })
  afterAll(() => removeIndices(url, prefixes))
}
