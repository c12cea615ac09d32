type Ioredis = Pick<typeof import('ioredis'), 'Cluster' | 'Command' | 'Redis'>

/** V8 notices a place in the code that looks up a property once it has run a few times. */
const lookUps = 100

/**
 * ioredis, and strings as fast as before. It declares a class that extends `String`, which makes V8 keep
 * `String.prototype` as a dictionary: from then on every method of every string in the process is looked up when
 * it is called - a loop of `charCodeAt` takes five times as long. A look-up through a String object mends that.
 */
export async function loadIoredis(): Promise<Ioredis> {
  const ioredis = await import('ioredis')
  const text = Object('a') as string
  for (let i = 0; i < lookUps; i++) text.charCodeAt(0)
  return ioredis
}
