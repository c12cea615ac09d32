import process from 'node:process'
import { placeOf } from './s3/place.ts'
import { missingForS3Mock, startS3Mock } from './s3/s3mock.ts'
import { missingForS3Proxy, startS3Proxy } from './s3/s3proxy.ts'
import { missingForVersitygw, startVersitygw } from './s3/versitygw.ts'
import type { Started } from './shared-server.ts'

/** A running S3 server with a bucket. Whoever started it ends it; one named by `TEST_S3` is left running. */
export interface TestS3 {
  /** `http://host:port`. */
  readonly endpoint: string
  /** The same server, with a certificate that nobody knows; undefined: it speaks no TLS. */
  readonly tlsEndpoint?: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** There, and empty where the server was started for this. */
  readonly bucket: string
  /** What makes `winnow` use it. */
  readonly env: Readonly<Record<string, string>>
  /** Ends the process without a farewell; what it had acknowledged stays on its disk. */
  kill9(): Promise<void>
  /** On the same address and data, after `kill9`. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export interface StartS3Options {
  /** A server of its own, which the test may kill: never the one that `TEST_S3` names. */
  readonly fresh?: boolean
  /**
   * Of a native one. S3Proxy keeps storage classes; versitygw leaves nothing torn behind when it is killed;
   * S3Mock has lifecycle rules and TLS, and checks no signature.
   */
  readonly server?: S3ServerName
}

export type S3ServerName = keyof typeof servers

const servers = {
  s3proxy: { missing: missingForS3Proxy, start: startS3Proxy },
  versitygw: { missing: missingForVersitygw, start: startVersitygw },
  s3mock: { missing: missingForS3Mock, start: startS3Mock },
}

/**
 * A real S3 server: the one that `TEST_S3` names (`http://KEY:SECRET@HOST:PORT/BUCKET`), else a process of
 * this machine. Undefined: none can be had here, and `why` says what is missing.
 */
export async function startS3({
  fresh = false,
  server,
}: StartS3Options = {}): Promise<Started<TestS3>> {
  const named = process.env.TEST_S3
  if (named !== undefined && !fresh && server === undefined) return { server: namedS3(named) }
  const { missing, start } = servers[server ?? 's3proxy']
  const why = missing()
  return why === undefined ? { server: await start() } : { why }
}

function namedS3(named: string): TestS3 {
  const url = new URL(named)
  const bucket = url.pathname.slice(1)
  if (url.username === '' || url.password === '' || bucket === '') {
    throw new Error('TEST_S3 is not of the form http://KEY:SECRET@HOST:PORT/BUCKET')
  }
  const notOurs = async (): Promise<void> => {
    throw new Error('the server of TEST_S3 is not ours to kill: start one with `fresh: true`')
  }
  return {
    ...placeOf({
      endpoint: url.origin,
      bucket,
      accessKeyId: decodeURIComponent(url.username),
      secretAccessKey: decodeURIComponent(url.password),
    }),
    kill9: notOurs,
    restart: notOurs,
    stop: async () => {},
  }
}
