#!/usr/bin/env node
// Plain JavaScript on purpose: an older Node must be able to read this far and say what to do.
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 11)) {
  process.stderr.write(
    `winnow needs Node 24.11 or newer, this is ${process.versions.node}: run it as \`npx winnow\`, which uses the Node that \`npm ci\` installed\n`,
  )
  process.exit(2)
}
await import('../src/main.ts')
