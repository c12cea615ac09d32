import type { Command } from 'commander'
import { client } from '../client/commands.ts'
import type { EraseOptions } from './erase-command.ts'

/** `winnow erase`. */
export function registerErase(program: Command): void {
  client(
    program,
    'erase',
    'remove the traces of a subject from every store, and show the receipt',
    `
It finds every trace of the tenant that has the attribute with the value, on the bus, in warm and in cold, removes them
from hot, warm, cold and the text, and reduces their decisions in the ledger to the accounting. What the bus still holds
is blocked, so that nothing brings it back, until its retention has removed it: then the erasure is done, and not before.
A process that is killed meanwhile goes on where it was when it comes again. The value itself is kept nowhere.

States: running, waiting-for-retention (removed from every store), done, refused. It needs a key with the scope admin,
and stays within its tenant. With --data, or --config of a bus of files, it opens the stores itself, while nothing else
runs on them; with --config on Kafka it asks the fleet, whose writer does the work.

More than 1,000 traces have to be confirmed, and by an attribute that names no subject (a service, a model) any: it is
refused with their number, and asked again with --traces-max.

Examples:
  $ winnow erase --where user.id_hash=u_4f81a09c --dry-run
  $ winnow erase --where user.id_hash=u_4f81a09c --wait
  $ winnow erase --where trace.id=48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f
  $ winnow erase --where service.name=retired-bot --traces-max 5200
  $ winnow erase --status 5c1e09b2f3a47d68 --json
  $ winnow erase --where user.id_hash=u_4f81a09c --data ./data      a folder whose process has ended`,
  )
    .option('--where <key=value>', 'an attribute and its value, or trace.id=…')
    .option('--dry-run', 'say what would be removed')
    .option('--traces-max <count>', 'so many traces are meant, at the most')
    .option('--wait', 'until it is removed from every store')
    .option('--status <id>', 'how far an erasure is, or its receipt')
    .option('--list', 'every erasure of the tenant, the newest first')
    .option('--data <dir>', 'open the stores of this data folder')
    .option('--config <file>', 'open the stores that this winnow.yaml names')
    .option('--tenant <name>', 'with --data or --config: whose traces (default "default")')
    .action(async (options: EraseOptions) => {
      const { eraseCommand } = await import('./erase-command.ts')
      await eraseCommand(options)
    })
}
