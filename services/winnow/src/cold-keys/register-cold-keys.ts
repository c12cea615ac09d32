import type { Command } from 'commander'
import type { ColdKeysOptions } from './cold-keys-command.ts'

/** `winnow cold-keys`: the keys that cold's strings are hashed with. */
export function registerColdKeys(program: Command): void {
  const keys = program
    .command('cold-keys')
    .description('list, rotate or destroy the keys that a tenant’s strings in cold are hashed with')
    .addHelpText('after', '\nExample:\n  $ winnow cold-keys list --tenant team-a')
  common(
    keys.command('list').description('the keys of a tenant, by names that tell nothing of them'),
    `
Examples:
  $ winnow cold-keys list --tenant team-a
  $ winnow cold-keys list --tenant team-a --json | jq -r .current`,
  ).action(async (options: ColdKeysOptions) => {
    const { listColdKeys } = await import('./cold-keys-command.ts')
    await listColdKeys(options)
  })
  common(
    keys.command('rotate').description('hash with a new key from now on; the others stay'),
    `
From the next segment on the same string has another hash. What stands in cold already is still found by an erasure,
for the key that hashed it stays. Sixteen keys are the most.

Examples:
  $ winnow cold-keys rotate --tenant team-a --config winnow.yaml`,
  ).action(async (options: ColdKeysOptions) => {
    const { rotateColdKey } = await import('./cold-keys-command.ts')
    await rotateColdKey(options)
  })
  common(
    keys
      .command('destroy')
      .description('make what stands in cold of a tenant unlinkable, for good')
      .option('--confirm <tenant>', 'the tenant’s name once more; without it nothing is destroyed')
      .option('--key <names>', 'these keys alone, with commas between them (default: all of them)'),
    `
Nobody can bring it back: the strings that are hashed with a destroyed key can be compared with no string, and with no
other hash, of any time after. Files of cold stay readable, and a trace that is read from there says so. An erasure
no longer finds cold rows of before by an attribute, once warm has none of them: erase a subject first, then destroy.
It prints the receipt: which keys, and what it did not reach.

Examples:
  $ winnow cold-keys destroy --tenant team-a --confirm team-a --json > receipt.json
  $ winnow cold-keys destroy --tenant team-a --confirm team-a --key h_J9sCw1Yb3hQ0aXzT`,
  ).action(async (options: ColdKeysOptions) => {
    const { destroyColdKeys } = await import('./cold-keys-command.ts')
    await destroyColdKeys(options)
  })
}

function common(command: Command, examples: string): Command {
  return command
    .requiredOption('--tenant <name>', 'whose keys')
    .option('--data <dir>', 'the data folder of the writers (default ./data)')
    .option('--config <file>', 'the winnow.yaml that names it')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
Run it where the writers’ data folder is: the keys are files below keys/cold there. It goes beside running processes,
which read the file again before each segment and look-up: none needs a restart.
${examples}`,
    )
}
