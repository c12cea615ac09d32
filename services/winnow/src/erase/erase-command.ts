import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ErasurePage, ShownErasure } from '@winnow/writer'
import { type ClientOptions, callApi, expected } from '../client/api-client.ts'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import { erasureText } from './erase-text.ts'

export interface EraseOptions extends ClientOptions {
  readonly where?: string
  readonly status?: string
  readonly list?: boolean
  readonly dryRun?: boolean
  readonly tracesMax?: string
  readonly wait?: boolean
  readonly data?: string
  readonly config?: string
  readonly tenant?: string
}

/** Where an erasure is asked for: a running query, or the stores of a folder that nobody has open. */
export interface ErasureOffice {
  ask(request: {
    readonly where: Readonly<Record<string, string>>
    readonly dryRun: boolean
    readonly tracesMax?: number
  }): Promise<ShownErasure>
  status(id: string): Promise<ShownErasure>
  list(): Promise<readonly ShownErasure[]>
}

const pollMs = 1_000

/** `winnow erase`: asks for an erasure, or says how far one is. */
export async function eraseCommand(options: EraseOptions): Promise<void> {
  const { where, status, list, data, config } = options
  if ([where, status, list].filter(one => one !== undefined).length !== 1) {
    throw new CommandEnd(exitCode.usage, 'give one of --where key=value, --status ID and --list')
  }
  const isOffline = data !== undefined || config !== undefined
  if (!isOffline && options.tenant !== undefined) {
    const remedy = 'a running query erases of the tenant of your key (--key)'
    throw new CommandEnd(exitCode.usage, `--tenant goes with --data or --config: ${remedy}`)
  }
  if (!isOffline) return run(options, ofApi(options))
  const { withFolder } = await import('./erase-offline.ts')
  await withFolder(options, office => run(options, office))
}

async function run(options: EraseOptions, office: ErasureOffice): Promise<void> {
  if (options.list) {
    const erasures = await office.list()
    if (options.json) write(JSON.stringify({ erasures }))
    else write(erasures.map(erasureText).join('') || 'no erasure has been asked for')
    return
  }
  let erasure =
    options.status === undefined
      ? await office.ask({
          where: whereOf(options.where ?? ''),
          dryRun: options.dryRun === true,
          ...tracesMaxOf(options.tracesMax),
        })
      : await office.status(options.status)
  // What a dry run would remove is all that it is asked for.
  while (erasure.state === 'running' && (options.wait === true || options.dryRun === true)) {
    await sleep(pollMs)
    erasure = await office.status(erasure.id)
    process.stderr.write(
      `winnow: ${erasure.step ?? erasure.state}: ${erasure.looked} objects looked at, ${erasure.traces} traces\n`,
    )
  }
  write(options.json ? JSON.stringify(erasure) : erasureText(erasure).trimEnd())
  if (erasure.state === 'refused') throw new CommandEnd(exitCode.no, '')
}

function whereOf(text: string): Record<string, string> {
  const at = text.indexOf('=')
  if (at > 0 && at < text.length - 1) return { [text.slice(0, at)]: text.slice(at + 1) }
  throw new CommandEnd(
    exitCode.usage,
    '--where lacks a value; use --where user.id_hash=… or --where trace.id=…',
  )
}

function tracesMaxOf(text: string | undefined): { readonly tracesMax?: number } {
  if (text === undefined) return {}
  const tracesMax = Number(text)
  if (Number.isSafeInteger(tracesMax) && tracesMax >= 1) return { tracesMax }
  throw new CommandEnd(exitCode.usage, `--traces-max "${text}" is no count; give 1 or more`)
}

function ofApi(options: EraseOptions): ErasureOffice {
  const path = '/api/v1/erasures'
  const call = async <T>(method: 'GET' | 'POST', of: string, body?: unknown): Promise<T> => {
    const answer = await callApi(options, method, of, body)
    return expected<T>(answer)
  }
  return {
    ask: ({ where, dryRun, tracesMax }) =>
      call('POST', path, {
        where,
        ...(dryRun && { dryRun }),
        ...(tracesMax !== undefined && { tracesMax }),
      }),
    status: id => call('GET', `${path}/${encodeURIComponent(id)}`),
    list: async () => {
      const all: ShownErasure[] = []
      for (let cursor: string | undefined = ''; cursor !== undefined; ) {
        const of: string = cursor === '' ? path : `${path}?cursor=${cursor}`
        const page: ErasurePage = await call('GET', of)
        all.push(...page.erasures)
        cursor = page.cursor
      }
      return all
    },
  }
}

function write(text: string): void {
  process.stdout.write(`${text}\n`)
}
