// One writer of a hot store as a process of its own, for tests that run several on one folder:
//   node hot-writer.fixture.ts FOLDER FIRST COUNT   waits for a line on standard input, then puts them one by one.
import { once } from 'node:events'
import process from 'node:process'
import { sampleTrace } from './samples.ts'
import { SqliteHotStore } from './sqlite-hot-store.ts'

const [folder = '', first = '0', count = '0'] = process.argv.slice(2)
const store = new SqliteHotStore(folder)
process.stdout.write('ready\n')
await once(process.stdin, 'data')
for (let n = Number(first); n < Number(first) + Number(count); n++)
  await store.put([sampleTrace(n)])
await store.close()
process.exit()
