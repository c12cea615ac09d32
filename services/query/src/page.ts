import { readdirSync, readFileSync, statSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { extname, join, relative, sep } from 'node:path'
import { gzipSync } from 'node:zlib'
import { PipelineError } from '@winnow/runtime'

/** Bytes of all files of the page, which are held in memory. */
export const pageBytesMax = 4 * 1024 * 1024

export interface PageFile {
  readonly status: number
  readonly headers: Readonly<Record<string, string | number>>
  readonly body: Uint8Array
}

/** The page's files; nothing in them is anybody's, so that they need no key. */
export interface Page {
  /** Undefined for what is not of the page: the API's to answer. */
  find(request: Pick<IncomingMessage, 'method' | 'url' | 'headers'>): PageFile | undefined
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/**
 * What a browser is told of every file: it runs and loads what this server has, asks nobody else, is in nobody's
 * frame, and tells nobody where it was.
 */
const secured = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

const prefix = '/ui/'
const entry = 'index.html'

/** Reads the folder once. Throws QUOTA_EXCEEDED over {@link pageBytesMax}; a folder that is not there has no page. */
export function openPage(folder: string, bytesMax = pageBytesMax): Page {
  const files = readFiles(folder, bytesMax)
  return {
    find: request => {
      const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
      if (path !== '/' && path !== '/ui' && !path.startsWith(prefix)) return undefined
      if (request.method !== 'GET' && request.method !== 'HEAD') return undefined
      if (path === '/' || path === '/ui') return moved
      const name = path.slice(prefix.length) || entry
      const file = files.get(name)
      if (file === undefined) return files.size === 0 ? notBuilt : missing
      return file(/\bgzip\b/.test(String(request.headers['accept-encoding'] ?? '')))
    },
  }
}

type Served = (isGzipped: boolean) => PageFile

function readFiles(folder: string, bytesMax: number): ReadonlyMap<string, Served> {
  const files = new Map<string, Served>()
  let bytes = 0
  for (const path of namesIn(folder)) {
    const full = join(folder, path)
    const body = readOrGone(full)
    if (body === undefined) continue
    bytes += body.length
    if (bytes > bytesMax) {
      throw new PipelineError('QUOTA_EXCEEDED', `${folder} holds more than ${bytesMax} bytes`)
    }
    const name = relative(folder, full).split(sep).join('/')
    files.set(name, served(name, body))
  }
  return files
}

/** Nothing of a folder that is not there. */
function namesIn(folder: string): string[] {
  return orGone(() => readdirSync(folder, { recursive: true, encoding: 'utf8' })) ?? []
}

/** Undefined for a folder too. */
function readOrGone(path: string): Buffer | undefined {
  return orGone(() => (statSync(path).isFile() ? readFileSync(path) : undefined))
}

/** A build puts a new folder in place of the old one: what vanishes meanwhile is not there. */
function orGone<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return undefined
  }
}

function served(name: string, body: Uint8Array): Served {
  const headers = {
    ...secured,
    'content-type': types[extname(name)] ?? 'application/octet-stream',
    // Names of all others hold a hash of what is in them.
    'cache-control': name === entry ? 'no-cache' : 'public, max-age=31536000, immutable',
    vary: 'accept-encoding',
  }
  const gzipped = gzipSync(body)
  return isGzipped => {
    const sent = isGzipped ? gzipped : body
    const encoding = isGzipped ? { 'content-encoding': 'gzip' } : {}
    return {
      status: 200,
      headers: { ...headers, ...encoding, 'content-length': sent.length },
      body: sent,
    }
  }
}

// Relative, so that it holds behind a proxy that puts a path in front.
const moved: PageFile = {
  status: 302,
  headers: { ...secured, location: 'ui/', 'cache-control': 'no-cache' },
  body: new Uint8Array(),
}

const missing = refusal('NO_SUCH_PATH', 'open /ui/')
const notBuilt = refusal(
  'PAGE_NOT_BUILT',
  'run npm run prepare in the folder of Winnow, then start it again; the API needs no page',
)

function refusal(code: string, remedy: string): PageFile {
  return {
    status: 404,
    headers: { ...secured, 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: Buffer.from(JSON.stringify({ error: { code, remedy } })),
  }
}
