import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cp, mkdtemp } from 'node:fs/promises'
import http2 from 'node:http2'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileBus, MemoryBus, topicSpecs } from '@winnow/bus'
import { createReceiver, type Receiver, receiverConfigSchema } from '@winnow/receiver'
import { Health, ManualClock, Metrics, silentLog } from '@winnow/runtime'
import type { FuzzTarget, Outcome } from './fuzz.ts'

/** Longest that an answer may be away before it counts as none, milliseconds. */
const answerWaitMs = 10_000

const example = (name: string): Buffer =>
  readFileSync(new URL(`../../services/receiver/examples/${name}`, import.meta.url))

export interface Boundaries {
  readonly targets: readonly FuzzTarget[]
  close(): Promise<void>
}

/** A receiver behind its sockets, and a log on disk: what no parser alone can show. */
export async function openBoundaries(): Promise<Boundaries> {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-fuzz-'))
  const clock = new ManualClock()
  clock.advanceMs(1_795_244_400_000)
  const receiver = await startReceiver(clock)
  const session = http2.connect(`http://${receiver.grpcAddress}`)
  session.on('error', () => {})
  return {
    targets: [
      httpTarget(receiver.httpAddress),
      grpcTarget(session),
      await logTarget(folder, clock),
    ],
    close: async () => {
      session.destroy()
      await receiver.stop()
      rmSync(folder, { recursive: true })
    },
  }
}

async function startReceiver(clock: ManualClock): Promise<Receiver> {
  const specs = topicSpecs({
    prefix: 'fuzz',
    generation: 1,
    partitions: 2,
    retentionMs: { spans: 1, evidence: 1 },
  })
  const anyPort = { host: '127.0.0.1', port: 0 }
  const receiver = createReceiver({
    bus: new MemoryBus(Object.values(specs), clock),
    topics: { spans: specs.spans.name, evidence: specs.evidence.name },
    listen: { grpc: anyPort, http: anyPort },
    keys: undefined,
    config: receiverConfigSchema.parse({ linger: '0ms' }),
    clock,
    log: silentLog,
    metrics: new Metrics(),
    health: new Health(),
    hashSeed: 1,
  })
  await receiver.start()
  return receiver
}

/** Whole HTTP/1.1 requests, head and body: anything may be wrong, and the server is there afterwards. */
function httpTarget(address: string): FuzzTarget {
  const [host, port] = address.split(':') as [string, string]
  const whole = (path: string, type: string, body: Buffer): Uint8Array => {
    const head = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`
    return Buffer.concat([Buffer.from(head), body])
  }
  const evaluation = { traceId: 'a'.repeat(32), name: 'csat', score: 2 }
  return {
    name: 'HTTP requests on a socket',
    weight: 1,
    seeds: [
      whole('/v1/traces', 'application/x-protobuf', example('trace.pb')),
      whole('/v1/traces', 'application/json', example('trace.json')),
      whole('/v1/logs', 'application/x-protobuf', example('logs.pb')),
      whole('/api/v1/evaluations', 'application/json', Buffer.from(JSON.stringify(evaluation))),
    ],
    run: input =>
      new Promise<Outcome>((resolve, reject) => {
        const chunks: Buffer[] = []
        const socket = connect(Number(port), host)
        const timer = setTimeout(() => {
          socket.destroy()
          reject(new Error(`no answer within ${answerWaitMs} ms`))
        }, answerWaitMs)
        socket.on('data', chunk => chunks.push(chunk))
        socket.on('error', () => {})
        socket.on('close', () => {
          clearTimeout(timer)
          const status = /^HTTP\/1\.1 (\d{3})/.exec(Buffer.concat(chunks).toString('latin1'))?.[1]
          if (status === '500') reject(new Error('answered 500'))
          else resolve(status?.startsWith('2') ? 'taken' : 'refused')
        })
        socket.end(input)
      }),
  }
}

/** The bytes of a gRPC request stream: the five of the frame's head, then the message. */
function grpcTarget(session: http2.ClientHttp2Session): FuzzTarget {
  const body = example('trace.pb')
  const frame = Buffer.alloc(5 + body.length)
  frame.writeUInt32BE(body.length, 1)
  body.copy(frame, 5)
  return {
    name: 'gRPC frames on a connection',
    weight: 1,
    seeds: [frame],
    run: input =>
      new Promise<Outcome>((resolve, reject) => {
        const stream = session.request({
          ':method': 'POST',
          ':path': '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
          'content-type': 'application/grpc',
          te: 'trailers',
        })
        let code = ''
        const timer = setTimeout(() => {
          stream.close()
          reject(new Error(`no answer within ${answerWaitMs} ms`))
        }, answerWaitMs)
        const note = (headers: http2.IncomingHttpHeaders): void => {
          code = String(headers['grpc-status'] ?? code)
        }
        stream.on('response', note)
        stream.on('trailers', note)
        stream.on('data', () => {})
        stream.on('error', () => {})
        stream.on('close', () => {
          clearTimeout(timer)
          // 2 is UNKNOWN: an error that nobody meant. 13 is what the specification wants for a
          // compressed message on a call that named no compression.
          if (code === '2' || code === '') reject(new Error(`answered ${code || 'nothing'}`))
          else resolve(code === '0' ? 'taken' : 'refused')
        })
        stream.end(input)
      }),
  }
}

/** A segment file of a log with a fault in it: the log opens and reads what is intact, or says why not. */
async function logTarget(parent: string, clock: ManualClock): Promise<FuzzTarget> {
  const folder = join(parent, 'log')
  const specs = [{ name: 't', partitions: 2, retentionMs: 1e12, keyed: false }]
  const limits = { freeBytesMin: 0 }
  const open = (at: string): Promise<FileBus> => FileBus.open({ folder: at, specs, clock, limits })
  const bus = await open(folder)
  for (let n = 0; n < 12; n++) {
    await bus.append('t', n % 2, [{ value: Buffer.from(`record ${n}`.repeat(20)) }])
  }
  await bus.close()
  const [largest] = filesOf(folder).sort((a, b) => b.bytes - a.bytes)
  const path = largest?.path ?? ''
  return {
    name: 'segments of a log on disk',
    weight: 0.25,
    seeds: [readFileSync(join(folder, path))],
    run: async input => {
      const copy = await mkdtemp(join(parent, 'copy-'))
      try {
        await cp(folder, copy, { recursive: true })
        writeFileSync(join(copy, path), input)
        return await useLog(await open(copy))
      } finally {
        rmSync(copy, { recursive: true })
      }
    },
  }
}

/** Everything that is intact can be read, and the log goes on. */
async function useLog(bus: FileBus): Promise<Outcome> {
  try {
    for (const partition of [0, 1]) {
      const { first, end } = await bus.bounds('t', partition)
      for (let from = first; from < end; ) {
        const { records, gap } = await bus.read('t', partition, from, 1 << 20, 0)
        from = (records.at(-1)?.offset ?? (gap?.to ?? end) - 1) + 1
      }
      const offset = await bus.append('t', partition, [{ value: Buffer.from('more') }])
      await bus.fetch('t', partition, offset)
    }
    return 'taken'
  } finally {
    await bus.close()
  }
}

function filesOf(folder: string): { readonly path: string; readonly bytes: number }[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .map(path => ({ path: path.slice(folder.length + 1), bytes: statSync(path).size }))
}
