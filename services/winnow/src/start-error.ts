import { PipelineError } from '@winnow/runtime'
import type { Config } from './program-config.ts'

/** The keys of `winnow.yaml` that name an address to listen on, with the option of each. */
export const listenOptions = {
  otlpGrpc: '--otlp-grpc',
  otlpHttp: '--otlp-http',
  api: '--api',
  metrics: '--metrics',
} as const

type ListenKey = keyof typeof listenOptions

/** What an error of `listen` or of the lookup before it says, whether it crossed a thread or not. */
interface ListenError {
  readonly code?: string
  readonly syscall?: string
  /** Of `listen`. */
  readonly port?: number
  /** Of the lookup. */
  readonly hostname?: string
}

/**
 * An error of the start as whoever started it can act on it: where an address cannot be listened on,
 * CONFIG_INVALID with its key, the address and the remedy; any other error is returned as it is.
 */
export function startError(error: unknown, config: Pick<Config, ListenKey>): unknown {
  const { code, syscall, port, hostname } = error as ListenError
  if (code === undefined || (syscall !== 'listen' && syscall !== 'getaddrinfo')) return error
  const isMeant = (key: ListenKey): boolean =>
    syscall === 'listen' ? config[key].port === port : config[key].host === hostname
  const keys = (Object.keys(listenOptions) as ListenKey[]).filter(isMeant)
  if (keys.length === 0) return error
  const lines = keys.map(key => {
    const { host, port: wanted } = config[key]
    return `${key} ${host}:${wanted} ${listenProblem(code)}; or choose another with ${listenOptions[key]} HOST:PORT (port 0 picks a free one)`
  })
  return new PipelineError('CONFIG_INVALID', lines.join('\n'), { cause: error })
}

/**
 * The line that a process ends with. A log that ends before what was read of it is another one now: the
 * message that met it cannot know why, and whoever reads it has to.
 */
export function endText(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (isRefusedPath(error)) {
    return `${error.message}; give this user the right to it, or name another path`
  }
  if ((error as { readonly code?: unknown }).code !== 'OFFSET_AHEAD') return error.message
  return `${error.message}: the topic was deleted and made again, or lost its end; start again to go on with what is there, and raise \`topics.generation\` by one where that ends the same way`
}

/** The system's refusal of a path, which whoever started the command can lift. */
export function isRefusedPath(error: unknown): boolean {
  const { code, syscall, path } = error as NodeJS.ErrnoException
  return syscall !== undefined && path !== undefined && refusals.has(code ?? '')
}

const refusals = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR', 'ELOOP'])

/** What is wrong with an address, by the system's code, and what to do. */
export function listenProblem(code: string): string {
  return problems[code] ?? code
}

const problems: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use: stop the process that listens there',
  EADDRNOTAVAIL: 'is no address of this machine: use one of its own',
  EACCES: 'needs rights that this process does not have: use a port above 1023',
  ENOTFOUND: 'is a name that nobody resolves: correct it',
  EAI_AGAIN: 'is a name that cannot be resolved right now: use a number',
}
