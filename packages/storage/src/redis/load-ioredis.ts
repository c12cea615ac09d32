import type { Socket } from 'node:net'

type Ioredis = Pick<typeof import('ioredis'), 'Cluster' | 'Command' | 'Redis'>

/** V8 notices a place in the code that looks up a property once it has run a few times. */
const lookUps = 100

/**
 * ioredis, and strings as fast as before. It declares a class that extends `String`, which makes V8 keep
 * `String.prototype` as a dictionary: from then on every method of every string in the process is looked up when
 * it is called - a loop of `charCodeAt` takes five times as long. A look-up through a String object mends that.
 *
 * And its sockets are heard to their end: see {@link hearEveryError}.
 */
export async function loadIoredis(): Promise<Ioredis> {
  const ioredis = await import('ioredis')
  const text = Object('a') as string
  for (let i = 0; i < lookUps; i++) text.charCodeAt(0)
  hearEveryError(ioredis.AbstractConnector.prototype)
  return ioredis
}

const streams = new WeakMap<object, Socket>()

/**
 * ioredis listens for the first error of a socket alone, and a TLS socket has two where each side refuses the
 * other: the certificate that does not verify, then the server's alert. The second one, heard by nobody, would
 * end the process. Every socket of ioredis, of sentinels and of cluster nodes too, is given to a connector's `stream`.
 */
function hearEveryError(connector: object): void {
  if (Object.hasOwn(connector, 'stream')) return
  Object.defineProperty(connector, 'stream', {
    get(this: object) {
      return streams.get(this)
    },
    set(this: object, stream: Socket) {
      stream.on('error', () => {})
      streams.set(this, stream)
    },
  })
}
