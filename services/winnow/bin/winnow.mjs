#!/usr/bin/env node
// Plain JavaScript on purpose: an older Node must be able to read this far and say what to do.
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 11)) {
  process.stderr.write(
    `winnow needs Node 24.11 or newer, this is ${process.versions.node}: run it as \`npx winnow\`, which uses the Node that \`npm ci\` installed\n`,
  )
  process.exit(2)
}
// What was compiled once is not compiled at the next start: that halves it. Beside what `npm ci` installed, so that
// nobody else can write there; where nobody can, as in an image, it is compiled each time.
const { enableCompileCache } = await import('node:module')
const { fileURLToPath } = await import('node:url')
const { directory } = enableCompileCache(
  fileURLToPath(new URL('../../../node_modules/.cache/winnow', import.meta.url)),
)
// Threads read it from here.
if (directory !== undefined) process.env.NODE_COMPILE_CACHE ??= directory
await import('../src/main.ts')
