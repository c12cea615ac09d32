// `npm run prepare`: builds the page into dist, which the query service serves under /ui/. Where Vite is not
// installed (`npm ci --omit=dev`) nothing is built, and the program runs without a page.

import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { gzipSync } from 'node:zlib'

/** What a browser loads, gzipped: a page on a slow line is there within a second. */
const pageGzipBytesMax = 64 * 1024

const root = import.meta.dirname
const dist = join(root, 'dist')
const made = join(root, `dist.${process.pid}.new`)

const vite = await import('vite').catch((error: unknown) => {
  if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
})

if (vite === undefined) {
  process.stdout.write(
    'The page is not built: Vite is not installed. Run npm ci, then npm run prepare.\n',
  )
} else {
  try {
    await vite.build({
      root,
      configFile: false,
      logLevel: 'warn',
      // Relative, so that it holds behind a proxy that puts a path in front.
      base: './',
      oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
      build: {
        outDir: made,
        target: 'es2022',
        // Neither inlined files nor inlined scripts: the page's security policy allows none.
        assetsInlineLimit: 0,
        modulePreload: false,
      },
    })
    const bytes = readdirSync(made, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => gzipSync(readFileSync(join(entry.parentPath, entry.name))).length)
      .reduce((sum, length) => sum + length, 0)
    if (bytes > pageGzipBytesMax) {
      throw new RangeError(`the page has ${bytes} bytes gzipped, over ${pageGzipBytesMax}`)
    }
    // Whoever reads it meanwhile has the old one, or for a moment none.
    if (existsSync(dist)) rmSync(dist, { recursive: true })
    renameSync(made, dist)
    process.stdout.write(`The page is built: ${bytes} bytes gzipped.\n`)
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
}
