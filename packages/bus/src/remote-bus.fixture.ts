import { type MessagePort, parentPort } from 'node:worker_threads'
import { RemoteBus } from './remote-bus.ts'

/** The other thread of `remote-bus.test.ts`: answers the first record of partition 0 in partition 1. */
parentPort?.once('message', (port: MessagePort) => {
  const bus = new RemoteBus(port)
  bus.join('t', 'g', async lease => {
    if (lease.partition !== 0) return
    const { records } = await lease.read(1, 600_000)
    for (const { offset, value } of records) {
      const text = Buffer.from(value).toString()
      await lease.commit({ offset: offset + 1, note: text })
      await bus.append('t', 1, [{ value: Buffer.from(text.toUpperCase()) }])
    }
  })
})
