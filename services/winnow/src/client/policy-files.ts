import type { Command } from 'commander'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import { print, readText } from './commands.ts'

/** What works on a policy file alone, without a server. */
export function registerPolicyFiles(policy: Command): void {
  policy
    .command('check <file>')
    .description('say every mistake of a policy file, and what of it depends on the order of facts')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
A condition that more facts can turn off is marked order-dependent: what it matched stays
matched, but which traces it matches depends on when their spans and outcomes come.

Exit status: 0 a policy, 1 mistakes, 2 the file cannot be read.

Example:
  $ winnow policy check policy.yaml`,
    )
    .action(checkFile)
}

async function checkFile(file: string, options: { readonly json?: boolean }): Promise<void> {
  const { checkPolicy } = await import('@winnow/sampler')
  const result = checkPolicy(readText(file))
  if (options.json) print(JSON.stringify(result))
  else if (result.ok) {
    const { policy, notes } = result
    print(`${file} is a policy: version ${policy.version}, ${policy.rules.length} rules`)
    for (const note of notes) print(`${file}:${note}`)
  } else for (const mistake of result.mistakes) print(`${file}: ${mistake}`)
  if (!result.ok) throw new CommandEnd(exitCode.no, '')
}
