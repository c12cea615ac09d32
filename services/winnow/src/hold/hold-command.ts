import type { ShownHold } from '@winnow/query'
import { systemClock } from '@winnow/runtime'
import { type ClientOptions, callApi, expected } from '../client/api-client.ts'
import { print } from '../client/commands.ts'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import { holdText } from './hold-text.ts'

export interface HoldOptions extends ClientOptions {
  readonly reason?: string
  readonly by?: string
  readonly until?: string
  readonly trace?: string
}

const path = '/api/v1/holds'
const dayMs = 86_400_000

/** `winnow hold`: makes a hold, lists those there are, or ends one. */
export async function holdCommand(
  what: string,
  id: string | undefined,
  options: HoldOptions,
): Promise<void> {
  if (what === 'list') return list(id, options)
  if (what === 'end') return end(id, options)
  if (id !== undefined) {
    throw new CommandEnd(
      exitCode.usage,
      `"${what}" "${id}": use hold TRACE, hold list or hold end ID`,
    )
  }
  const { reason, by, until } = options
  if (reason === undefined || by === undefined || until === undefined) {
    throw new CommandEnd(
      exitCode.usage,
      'a hold needs --reason TEXT, --by NAME and --until 2027-01-31 (or 90d)',
    )
  }
  const asked = { traceId: what, reason, by, until: untilOf(until, systemClock.nowMs()) }
  const hold = expected<ShownHold>(await callApi(options, 'POST', path, asked))
  print(options.json ? JSON.stringify(hold) : holdText(hold).trimEnd())
}

async function list(id: string | undefined, options: HoldOptions): Promise<void> {
  if (id !== undefined) {
    throw new CommandEnd(exitCode.usage, `hold list takes no id; use hold list --trace ${id}`)
  }
  const query = options.trace === undefined ? '' : `?trace=${encodeURIComponent(options.trace)}`
  const answer = expected<{
    readonly holds: readonly ShownHold[]
    readonly unreadable?: readonly string[]
  }>(await callApi(options, 'GET', `${path}${query}`))
  if (options.json) print(JSON.stringify(answer))
  else {
    print(answer.holds.map(holdText).join('').trimEnd() || 'there is no hold')
    for (const key of answer.unreadable ?? []) print(`could not be read: ${key}`)
  }
}

async function end(id: string | undefined, options: HoldOptions): Promise<void> {
  if (id === undefined) {
    throw new CommandEnd(exitCode.usage, 'name the hold: hold end ID; hold list shows them')
  }
  const ended = expected<{ readonly traceId: string }>(
    await callApi(options, 'DELETE', `${path}/${encodeURIComponent(id)}`),
  )
  print(
    options.json
      ? JSON.stringify(ended)
      : `ended: of ${ended.traceId} there is now what its age allows`,
  )
}

/** `90d` to the end of that UTC day, so that who sends it again that day asks for the same hold. */
export function untilOf(text: string, nowMs: number): string {
  const days = /^(\d{1,4})d$/.exec(text)
  if (days === null) return text
  return new Date(nowMs + Number(days[1]) * dayMs).toISOString().slice(0, 10)
}
