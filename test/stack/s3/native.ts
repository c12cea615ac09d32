import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { NativeServer } from '../native-server.ts'
import { freePort } from '../ports.ts'
import type { TestS3 } from '../s3.ts'
import { s3Client } from './client.ts'
import { placeOf } from './place.ts'

const attemptsMax = 3
const keys = { accessKeyId: 'winnow-test', secretAccessKey: 'winnow-test-secret' }
const bucket = 'winnow'

interface Start {
  /** A folder beside which the server may keep what else it needs. */
  readonly data: string
  readonly port: number
  /** For who speaks TLS. */
  readonly tlsPort: number
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** A server that keeps files, on a free port of 127.0.0.1, with a bucket. Its data live until `stop`. */
export async function startNativeS3(
  name: string,
  command: (start: Start) => readonly string[],
): Promise<TestS3> {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-s3-'))
  const data = join(folder, 'data')
  mkdirSync(data)
  for (let attempt = 1; ; attempt++) {
    const [port, tlsPort] = [await freePort(), await freePort()]
    const endpoint = `http://127.0.0.1:${port}`
    const server = new NativeServer({
      name,
      folder,
      command: async () => command({ data, port, tlsPort, ...keys }),
      // Whoever is not known is refused by most; any answer shows a server that is there.
      isReady: async () => (await fetch(endpoint)).status < 500,
    })
    try {
      await server.start()
    } catch (error) {
      // A port that was free may be taken before the server binds it.
      const isTaken = /address already in use|BindException/i.test(String(error))
      if (isTaken && attempt < attemptsMax) continue
      rmSync(folder, { recursive: true, force: true })
      throw error
    }
    const place = placeOf({ endpoint, bucket, ...keys })
    const client = s3Client(place)
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
    client.destroy()
    return {
      ...place,
      tlsEndpoint: `https://127.0.0.1:${tlsPort}`,
      kill9: () => server.kill9(),
      restart: () => server.start(),
      stop: () => server.stop(),
    }
  }
}
