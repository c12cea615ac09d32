import process from 'node:process'
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
  registerImport(policy)
}

function registerImport(policy: Command): void {
  policy
    .command('import <file>')
    .description("write another product's sampling rules as a policy, on standard output")
    .requiredOption('--from <product>', 'otel-collector (its tail_sampling processor) or refinery')
    .option('--target <name>', 'refinery: the environment or data set; __default__ where absent')
    .addHelpText(
      'after',
      `
What the Collector calls a policy is a rule here; a policy is the ordered set of them. What cannot be expressed, or
differs, is said line by line on standard error, and as comments in the policy.

Exit status: 0 all is expressed, 1 something is not, 2 the file is no such configuration.

Examples:
  $ winnow policy import --from otel-collector collector.yaml > policy.yaml
  $ winnow policy import --from refinery rules.yaml --target production > policy.yaml`,
    )
    .action(importFile)
}

async function importFile(
  file: string,
  { from, target }: { readonly from: string; readonly target?: string },
): Promise<void> {
  if (from !== 'otel-collector' && from !== 'refinery') {
    throw new CommandEnd(exitCode.usage, `--from ${from}: there are otel-collector and refinery`)
  }
  const { importRefinery, importTailSampling } = await import('@winnow/sampler')
  const text = readText(file)
  const imported = readable(file, () =>
    from === 'refinery'
      ? importRefinery(text, file, target === undefined ? {} : { target })
      : importTailSampling(text, file),
  )
  process.stdout.write(imported.yaml)
  for (const line of imported.lines) process.stderr.write(`${line}\n`)
  if (!imported.isWhole) throw new CommandEnd(exitCode.no, '')
}

/** What is no YAML, or not what it should be, is the caller's mistake. */
function readable<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    const [reason] = (cause as Error).message.split('\n')
    throw new CommandEnd(exitCode.usage, `${file}: ${reason}`)
  }
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
