import type { Command } from 'commander'
import { client } from '../client/commands.ts'
import type { HoldOptions } from './hold-command.ts'

/** `winnow hold`. */
export function registerHold(program: Command): void {
  client(
    program,
    'hold <what> [id]',
    'keep one trace beyond its expiry, for a reason, until an end',
    `
What is a trace id, or list, or end with the id of a hold. A hold is a copy of what the trace's age still allows: its text
within a day of its decision, then its structured attributes, hashes once warm is over. winnow trace and winnow why
read it where no tier has as much. It goes at its end, and with winnow erase. To make and to end one needs a key with the
scope admin, to list them read; all within its tenant (docs/holds.md).

Examples:
  $ winnow hold 48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f --reason "claim 4481" --by "Ann Lee" --until 2027-01-31
  $ winnow hold 48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f --reason "claim 4481" --by "Ann Lee" --until 90d
  $ winnow hold list --json | jq '.holds[] | [.until, .traceId, .by]'
  $ winnow hold end 5c1e09b2f3a47d68`,
  )
    .option('--reason <text>', 'why; shown to keys with the scope content')
    .option('--by <name>', 'the person who answers for it')
    .option(
      '--until <end>',
      'its end: a day (2027-01-31, to its last second), a time, or 90d from now, to the end of that day',
    )
    .option('--trace <trace-id>', 'with list: the holds of this trace')
    .action(async (what: string, id: string | undefined, options: HoldOptions) => {
      const { holdCommand } = await import('./hold-command.ts')
      await holdCommand(what, id, options)
    })
}
