import process from 'node:process'
import type { Command } from 'commander'
import type { NewKeyOptions } from './new-key.ts'

/** The commands that make API keys. They reach nothing: a key is in force once its entry is configured. */
export function registerKeyCommands(program: Command): void {
  program
    .command('keys')
    .description('work with API keys')
    .addHelpText('after', '\nExample:\n  $ winnow keys new --tenant team-a --scopes ingest')
    .command('new')
    .description('make a key, shown once, and the line that lets it in')
    .requiredOption('--tenant <tenant>', 'whose data it reads and writes')
    .option(
      '--scopes <scopes>',
      'of ingest,evaluate,read,content,admin (default: all of them but admin)',
    )
    .option('--name <name>', 'which of the tenant’s keys it is, for people')
    .option('--expires <time>', 'unknown from then on: 2027-01-31, or 2027-01-31T12:00:00Z')
    .option('--json', 'as JSON: key, hash, entry')
    .addHelpText(
      'after',
      `
Examples:
  $ winnow keys new --tenant team-a --scopes ingest --name checkout
  $ winnow keys new --tenant team-a --scopes read,content --expires 2027-01-31
  $ winnow keys new --tenant team-a --json | jq -r .key > team-a.key

The line goes under keys: in winnow.yaml, or in the file that keysFile names, which needs no restart.
A file for --key-file holds the key alone; keep it readable to its user only.`,
    )
    .action(async (options: NewKeyOptions & { readonly json?: boolean }) => {
      const { randomBytes } = await import('node:crypto')
      const { entryLine, keyRandomBytes, newKey } = await import('./new-key.ts')
      const made = newKey(options, randomBytes(keyRandomBytes))
      if (options.json) {
        process.stdout.write(`${JSON.stringify(made)}\n`)
        return
      }
      process.stdout.write(
        `The key, for whoever uses it; nobody can show it again:\n\n  ${made.key}\n\nIts line, under keys: of winnow.yaml or of the keys file:\n\n${entryLine(made)}\n`,
      )
    })
}
