import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { isLoopback, PipelineError } from '@winnow/runtime'
import { readNameAnswer } from './name-answer.ts'
import type { NameAnswer, NameDetector, NameQuestion } from './name-detector.ts'

/** A larger answer is none: a name of two letters takes some hundred bytes to tell. */
export const nameAnswerBytesMax: number = 4 * 1024 * 1024

export interface PresidioOptions {
  /** `http://127.0.0.1:5002`; the path of the call is added. */
  readonly url: string
  /** Sent as `authorization: Bearer …`. */
  readonly token?: string
  /** Whose certificates are believed, instead of those of the machine. */
  readonly ca?: string
  /** What is sought, in the detector's words. */
  readonly entities: readonly string[]
  /** How sure it has to be, 0 to 1. */
  readonly scoreMin: number
  readonly connectionsMax: number
}

type Sent =
  | { readonly kind: 'answer'; readonly status: number; readonly body: string }
  | { readonly kind: 'too_large' }
  | { readonly kind: 'error'; readonly error: NodeJS.ErrnoException; readonly isStale: boolean }

/** A detector that speaks Presidio's `POST /analyze`. Redirections are not followed. */
export class Presidio implements NameDetector {
  readonly #options: PresidioOptions
  readonly #url: URL
  readonly #agent: HttpAgent

  constructor(options: PresidioOptions) {
    const { url, connectionsMax, ca } = options
    const mistake = detectorUrlMistake(url, { isInsecure: true })
    if (mistake !== undefined) throw new PipelineError('CONFIG_INVALID', `the detector: ${mistake}`)
    this.#options = options
    this.#url = new URL(`${url.replace(/\/+$/, '')}/analyze`)
    const agent = { keepAlive: true, maxSockets: connectionsMax }
    this.#agent =
      this.#url.protocol === 'https:'
        ? new HttpsAgent({ ...agent, ...(ca !== undefined && { ca }) })
        : new HttpAgent(agent)
  }

  async find({ texts, language, signal }: NameQuestion): Promise<NameAnswer> {
    const { entities, scoreMin } = this.#options
    const text = texts.length === 1 ? texts[0] : texts
    const body = JSON.stringify({ text, language, entities, score_threshold: scoreMin })
    let sent = await this.#send(body, signal)
    // The server had closed a connection that was kept: nobody has seen the request.
    if (sent.kind === 'error' && sent.isStale && !signal.aborted) {
      sent = await this.#send(body, signal)
    }
    switch (sent.kind) {
      case 'answer':
        return this.#read(sent, texts)
      case 'too_large':
        return failed('malformed', `an answer of more than ${nameAnswerBytesMax} bytes`)
      case 'error':
        return signal.aborted
          ? failed('late', 'no answer in time')
          : failed('down', sent.error.code ?? sent.error.name)
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  #read({ status, body }: { status: number; body: string }, texts: readonly string[]): NameAnswer {
    if (status !== 200) return failed('refused', `status ${status}`)
    const spans = readNameAnswer(body, texts)
    if (spans === undefined) return failed('malformed', 'an answer that is none to /analyze')
    const { entities, scoreMin } = this.#options
    const isSought = ({ entity, score }: { entity: string; score: number }): boolean =>
      score >= scoreMin && entities.includes(entity)
    return { kind: 'found', spans: spans.map(one => one?.filter(isSought)) }
  }

  /** Never rejects; ends once the signal says so. */
  #send(body: string, signal: AbortSignal): Promise<Sent> {
    const { token } = this.#options
    const request = this.#url.protocol === 'https:' ? httpsRequest : httpRequest
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      accept: 'application/json',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    }
    return new Promise(resolve => {
      const call = request(this.#url, { method: 'POST', agent: this.#agent, headers, signal })
      const onError = (error: NodeJS.ErrnoException): void => {
        const isStale = call.reusedSocket && error.code === 'ECONNRESET'
        resolve({ kind: 'error', error, isStale })
      }
      call.on('error', onError)
      call.on('response', response => readBody(response, resolve))
      call.end(body)
    })
  }
}

function readBody(response: IncomingMessage, settle: (sent: Sent) => void): void {
  const chunks: Buffer[] = []
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    chunks.push(chunk)
    if (bytes <= nameAnswerBytesMax) return
    settle({ kind: 'too_large' })
    response.destroy()
  })
  response.on('end', () => {
    const body = Buffer.concat(chunks).toString('utf8')
    settle({ kind: 'answer', status: response.statusCode ?? 0, body })
  })
  // Also an answer that ends before its end.
  response.on('error', error => settle({ kind: 'error', error, isStale: false }))
  response.on('close', () => {
    settle({ kind: 'error', error: new Error('closed'), isStale: false })
  })
}

function failed(
  reason: 'down' | 'late' | 'refused' | 'malformed',
  detail: string,
): Extract<NameAnswer, { kind: 'failed' }> {
  return { kind: 'failed', reason, detail }
}

/** What is wrong with the address of a detector; undefined: nothing. Texts go there before anything is redacted of names. */
export function detectorUrlMistake(
  text: string,
  { isInsecure }: { readonly isInsecure: boolean },
): string | undefined {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return 'give http://HOST:PORT or https://HOST:PORT'
  }
  if (url.username !== '' || url.password !== '') {
    return 'has a user or a password in it: give privacy.names.token'
  }
  if (url.search !== '' || url.hash !== '') return 'has more than a host and a path'
  if (url.protocol === 'https:' || isInsecure || isLoopback(url.hostname)) return undefined
  return 'plain http beyond this machine would show the texts on the way: use https, or 127.0.0.1 (insecure: true, if that is meant)'
}
