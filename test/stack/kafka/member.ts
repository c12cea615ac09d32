// One member of a group as a process of its own, for tests that kill it:
//   node member.ts BROKER SPEC-AS-JSON GROUP   → one line per partition it owns, as it gets them.
import process from 'node:process'
import { KafkaBus } from '@winnow/bus'

const [broker = '', spec = '', group = ''] = process.argv.slice(2)
const topic = JSON.parse(spec)
const bus = await KafkaBus.open({ brokers: [broker], specs: [topic], clientId: 'member' })
bus.join(topic.name, group, async lease => {
  process.stdout.write(`${lease.partition}\n`)
  while (!lease.lost.aborted) await lease.read(1 << 20, 100)
})
