// `npm run bench [-- part of a name]`: one table of every bench beside the code. Exits 1 where a bench
// stays below what it states as its least.
import { globSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import type { Bench } from '@winnow/testing'

const root = resolve(import.meta.dirname, '..')
const wanted = process.argv[2] ?? ''
const files = globSync('{packages,services}/*/src/**/*.bench.ts', { cwd: root }).sort()

console.log(`${'bench'.padEnd(64)} ${'measured'.padStart(14)} ${'at least'.padStart(14)}  unit`)
let below = 0
for (const file of files) {
  const { benches } = (await import(pathToFileURL(join(root, file)).href)) as { benches: Bench[] }
  for (const bench of benches) {
    const area = `${file.split('/')[1]}: `
    const name = bench.name.startsWith(area) ? bench.name : area + bench.name
    if (!name.includes(wanted)) continue
    const measured = await bench.run()
    const short = bench.atLeast !== undefined && measured < bench.atLeast
    if (short) below++
    const least = bench.atLeast === undefined ? '' : figure(bench.atLeast)
    console.log(
      `${name.padEnd(64)} ${figure(measured).padStart(14)} ${least.padStart(14)}  ${bench.unit}${short ? '  ← below' : ''}`,
    )
  }
}
process.exit(below === 0 ? 0 : 1)

function figure(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3)
}
