// A reader of a hot store as a process of its own, which keeps its files open while others remove them:
//   node hot-reader.fixture.ts FOLDER   reads until standard input ends, then says how often it found the trace.
import process from 'node:process'
import { setImmediate } from 'node:timers/promises'
import { sampleTraceId } from './samples.ts'
import { SqliteHotStore } from './sqlite-hot-store.ts'

const store = new SqliteHotStore(process.argv[2] ?? '')
let isOver = false
process.stdin.on('end', () => {
  isOver = true
})
process.stdin.resume()
let found = 0
let torn = 0
process.stdout.write('ready\n')
while (!isOver) {
  const read = await store.get('default', sampleTraceId(1))
  if (read !== undefined) found++
  // Text goes before its trace, and a trace is there with its spans or not at all.
  if (read !== undefined && read.spans.length !== 2) torn++
  await store.search({ tenant: 'default', limit: 9 })
  await setImmediate()
}
await store.close()
process.stdout.write(`${found} ${torn}\n`)
