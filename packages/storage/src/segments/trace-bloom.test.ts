import { xxhash64 } from 'hyparquet/src/xxhash.js'
import { sbbfContains } from 'hyparquet-writer/src/bloom.js'
import { expect, test } from 'vitest'
import { sampleTraceId } from '../samples.ts'
import { hashHalves, traceBloom } from './trace-bloom.ts'

test('the hash is XXH64 as the library has it', () => {
  const ids = Array.from({ length: 5_000 }, (_, n) => sampleTraceId(n))
  ids.push('0'.repeat(32), 'f'.repeat(32), '\x7f'.repeat(32), '\0'.repeat(32))
  for (const id of ids) {
    const { high = 0, low = 0 } = hashHalves(id) ?? {}
    const hash = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
    expect(hash, id).toBe(xxhash64(Buffer.from(id)))
  }
  for (const id of ['', 'a'.repeat(31), 'a'.repeat(33), 'é'.repeat(32), `${'a'.repeat(31)}\x80`]) {
    expect(hashHalves(id)).toBeUndefined()
  }
})

test('every id is in the filter and about one stranger in a hundred', () => {
  const ids = Array.from({ length: 4_000 }, (_, n) => sampleTraceId(n))
  ids.push('short', 'é'.repeat(32))
  const blocks = traceBloom(ids)
  for (const id of ids) expect(sbbfContains(blocks, xxhash64(Buffer.from(id))), id).toBe(true)
  let strangers = 0
  for (let n = 10_000; n < 30_000; n++) {
    if (sbbfContains(blocks, xxhash64(Buffer.from(sampleTraceId(n))))) strangers++
  }
  expect(strangers).toBeLessThan(400)
})
