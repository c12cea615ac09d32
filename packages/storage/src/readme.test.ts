import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { blobKeyBytesMax, blobNameBytesMax } from './blob-key.ts'
import { searchLimitMax } from './hot-store.ts'
import { idIndexFilesMax, idIndexRowsMax } from './index/id-index.ts'
import { snapshotsKept } from './index/index-snapshot.ts'
import { blockRows, footerBytesMax, sortedFileFormat } from './index/sorted-file.ts'
import { clearBytesMax, clearListMax, traceStateLengthMax } from './level-json.ts'
import { segmentRowsMax } from './segments/parquet-write.ts'
import { segmentFormat } from './segments/segment-metadata.ts'
import { busyMs, hotFormat } from './sqlite-file.ts'
import { hotFilesOpenMax } from './sqlite-hot-store.ts'
import { textFilesOpenMax } from './text-files.ts'

test('the README states the limits and formats as they are', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const stated = {
    blobKeyBytesMax,
    blobNameBytesMax,
    searchLimitMax,
    hotFilesOpenMax,
    textFilesOpenMax,
    segmentRowsMax,
    clearListMax,
    clearBytesMax,
    traceStateLengthMax,
    blockRows,
    idIndexRowsMax,
    idIndexFilesMax,
    snapshotsKept,
  }
  for (const [name, value] of Object.entries(stated)) {
    expect(readme).toContain(`\`${name}\` ${value.toLocaleString('en')}`)
  }
  expect(readme).toContain(`\`busyMs\` ${busyMs / 1_000} s`)
  expect(readme).toContain(`\`footerBytesMax\` ${footerBytesMax / 2 ** 20} MiB`)
  expect(readme).toContain(
    `hot files ${hotFormat}, segments ${segmentFormat}, index files ${sortedFileFormat}`,
  )
})
