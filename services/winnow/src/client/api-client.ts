import { CommandEnd, exitCode } from '../exit-codes.ts'
import { printable, printableIn } from '../render/printable.ts'
import { sendRequest, type TransportOptions, tlsAdvice } from './api-transport.ts'

export const defaultUrl = 'http://127.0.0.1:4300'

export interface ClientOptions extends TransportOptions {
  readonly url: string
  /** The answer as it is; else its texts are such that a terminal may show them. */
  readonly json?: boolean
}

export interface ApiAnswer {
  readonly status: number
  readonly body: unknown
}

/** One call of the API. Answers below 500 are the caller's to judge; no answer ends the command with 3. */
export async function callApi(
  options: ClientOptions,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<ApiAnswer> {
  const url = apiUrl(options.url, path)
  let status: number
  let text: string
  try {
    const sent = body === undefined ? undefined : JSON.stringify(body)
    ;({ status, text } = await sendRequest(url, method, options, sent))
  } catch (error) {
    if (error instanceof CommandEnd) throw error
    throw new CommandEnd(exitCode.unreachable, unreachable(options.url, error))
  }
  if (status === 431 || status === 414) {
    const long = 'the request is longer than the server takes: shorten what was given'
    throw new CommandEnd(exitCode.usage, `${long} (status ${status})`)
  }
  const parsed = parseBody(text, options.url)
  const answer = { status, body: options.json === true ? parsed : printableIn(parsed) }
  if (status >= 400 && !isApiError(answer.body)) throw notWinnow(options.url, `status ${status}`)
  if (answer.status === 401 || answer.status === 403) {
    throw new CommandEnd(exitCode.usage, `${errorText(answer.body)} (--key)`)
  }
  if (answer.status >= 500) throw new CommandEnd(exitCode.unreachable, errorText(answer.body))
  return answer
}

/** The body of a good answer; any other ends the command: 1 for not found, 2 for a wrong request. */
export function expected<T>(answer: ApiAnswer): T {
  if (answer.status < 400) return answer.body as T
  const missing = answer.status === 404 || answer.status === 409 || answer.status === 410
  throw new CommandEnd(missing ? exitCode.no : exitCode.usage, errorText(answer.body))
}

function apiUrl(base: string, path: string): URL {
  const url = URL.canParse(base) ? new URL(path, base) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new CommandEnd(
    exitCode.usage,
    `--url "${base}" is no address; use ${defaultUrl} or the like`,
  )
}

/** Every error of the API names a remedy and a code of its own; the admin port's NOT_FOUND is none. */
function isApiError(body: unknown): boolean {
  const { code, remedy } = (body as { error?: Record<string, unknown> } | null)?.error ?? {}
  return typeof code === 'string' && typeof remedy === 'string' && code !== 'NOT_FOUND'
}

function notWinnow(url: string, what: string): CommandEnd {
  return new CommandEnd(
    exitCode.unreachable,
    `${url} answers, but not as Winnow's API (${what}); name that with --url`,
  )
}

/** The line for people that an error body of the API holds. */
export function errorText(body: unknown): string {
  const error = (
    body as { error?: { code?: string; field?: string; value?: string; remedy?: string } }
  )?.error
  if (error?.code === undefined) return 'the server answered something that is not its API'
  const field = error.field === undefined ? '' : ` ${error.field}`
  const value = error.value === undefined ? '' : ` "${error.value}"`
  return printable(`${error.code}${field}${value}: ${error.remedy ?? ''}`)
}

function parseBody(text: string, url: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw notWinnow(url, (cause as Error).message)
  }
}

function unreachable(url: string, error: unknown): string {
  const advice = tlsAdvice(error)
  const cause = (error as { code?: string }).code ?? (error as Error).name
  if (advice !== undefined) return `${url} (${cause}): ${advice}`
  return `cannot reach ${url} (${cause}); is \`winnow up\` running, or name it with --url`
}
