import { CommandEnd, exitCode } from '../exit-codes.ts'

export const defaultUrl = 'http://127.0.0.1:4300'

export interface ClientOptions {
  readonly url: string
  readonly key?: string
}

export interface ApiAnswer {
  readonly status: number
  readonly body: unknown
}

const requestMs = 30_000

/** One call of the API. Answers below 500 are the caller's to judge; no answer ends the command with 3. */
export async function callApi(
  options: ClientOptions,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<ApiAnswer> {
  let response: Response
  try {
    response = await fetch(new URL(path, options.url), {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(options.key !== undefined && { authorization: `Bearer ${options.key}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(requestMs),
    })
  } catch (error) {
    throw new CommandEnd(exitCode.unreachable, unreachable(options.url, error))
  }
  const text = await response.text()
  const answer = { status: response.status, body: parseBody(text, options.url) }
  if (answer.status === 401 || answer.status === 403) {
    throw new CommandEnd(exitCode.usage, `${errorText(answer.body)} (--key)`)
  }
  if (answer.status >= 500) throw new CommandEnd(exitCode.unreachable, errorText(answer.body))
  return answer
}

/** The line for people that an error body of the API holds. */
export function errorText(body: unknown): string {
  const error = (
    body as { error?: { code?: string; field?: string; value?: string; remedy?: string } }
  )?.error
  if (error?.code === undefined) return 'the server answered something that is not its API'
  const field = error.field === undefined ? '' : ` ${error.field}`
  const value = error.value === undefined ? '' : ` "${error.value}"`
  return `${error.code}${field}${value}: ${error.remedy ?? ''}`
}

function parseBody(text: string, url: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new CommandEnd(
      exitCode.unreachable,
      `${url} answers, but not as Winnow: ${String(cause)}`,
    )
  }
}

function unreachable(url: string, error: unknown): string {
  const cause = (error as { cause?: { code?: string } }).cause?.code ?? (error as Error).name
  return `cannot reach ${url} (${cause}); is \`winnow up\` running, or name it with --url`
}
