import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import process from 'node:process'
import type { PoliciesShown, Policy, ShownPolicy, ShownText } from '@winnow/sampler'
import type { Command } from 'commander'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import { type ApiAnswer, type ClientOptions, callApi, expected } from './api-client.ts'
import type { BacktestCommandOptions } from './backtest-command.ts'
import { client, print, readText } from './commands.ts'
import { registerPolicyFiles } from './policy-files.ts'

type Options = ClientOptions

interface SaidOptions extends Options {
  readonly author?: string
  readonly message?: string
}

/** `winnow policy …`: show and change the policies of a running Winnow, one process or a fleet. */
export function registerPolicyCommands(program: Command): void {
  const policy = program
    .command('policy')
    .description('work with policies')
    .addHelpText(
      'after',
      `
Examples:
  $ winnow policy check policy.yaml              whether it is one, and what it does
  $ winnow policy diff live policy.yaml          what would change
  $ winnow policy apply policy.yaml --message "CSAT up to 3"`,
    )
  registerPolicyFiles(policy)
  registerApply(policy)
  registerShow(policy)
  registerDiff(policy)
  said(
    client(
      policy,
      'release',
      'keep what is in force, and let the configuration files have the word again',
      `
As long as a policy from \`winnow policy apply\` is in force, \`policy:\` and \`policyShadow:\` of the samplers'
configuration have no effect. After this the next change of such a file, or the next start of a sampler, has.

Example:
  $ winnow policy release --message "back to the files of the deployment"`,
    ),
  ).action((options: SaidOptions) => change(options, { release: true }))
}

/** `winnow backtest`: what a policy would have kept of what is in the ledger. */
export function registerBacktest(program: Command): void {
  program
    .command('backtest')
    .description('what another policy would have kept, from the ledger’s facts alone')
    .requiredOption('--policy <file>', 'the policy file')
    .requiredOption('--since <time>', 'decided since: RFC 3339, or 15m, 24h, 7d')
    .option('--until <time>', 'decided before')
    .option('--tenant <name>', 'of one tenant alone')
    .option('--known-bad <file>', 'trace ids, one a line, that the policy has to keep')
    .option('--max-share <share>', 'exit 1 where it would keep more than this, 0 to 1')
    .option('--flips <file>', 'write every trace whose verdict would change, as a line of JSON')
    .option('--data <dir>', 'folder of everything that is kept (default ./data)')
    .option('--config <file>', 'winnow.yaml; every key can also be set by a WINNOW_… variable')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
It reads the ledger’s segments and what of \`decisions\` is in none yet, beside a running process too, and no body.
Exit codes, for CI: 0 the policy may go; 1 it loses a known-bad trace (without --known-bad: one that was kept and has
a failed outcome), or keeps more than --max-share; 2 it has mistakes, or needs a fact that was not recorded in the
window, and since when it was; 3 a store does not answer.

Examples:
  $ winnow backtest --policy next.yaml --since 7d
  $ winnow backtest --policy next.yaml --since 24h --known-bad incidents.txt --max-share 0.15 --json
  $ winnow backtest --policy next.yaml --since 7d --config winnow.yaml --flips flips.jsonl`,
    )
    .action(async (options: BacktestCommandOptions) => {
      const { backtestCommand } = await import('./backtest-command.ts')
      await backtestCommand(options)
    })
}

function registerApply(policy: Command): void {
  said(
    client(
      policy,
      'apply <policy>',
      'put a policy in force in the whole fleet, or evaluate it in the shadow',
      `
The policy is a file, or a version of \`winnow policy history\` (or its beginning), to go back to.
Every sampler takes it up within a second, at a claim of each of its partitions; every decision names the version
that made it. A policy with mistakes is refused with all of them and changes nothing: exit code 1. It needs a key
with the scope admin, where keys are configured.

Examples:
  $ winnow policy apply policy.yaml --message "CSAT up to 3"
  $ winnow policy apply default-2f7a1c33 --message "the one before"
  $ winnow policy apply --shadow next.yaml              evaluate it beside the live one; it decides nothing
  $ winnow policy shadow-end`,
    ),
  )
    .option('--shadow', 'evaluate it beside the live one; it decides nothing')
    .action(apply)
  said(
    client(
      policy,
      'shadow-end',
      'evaluate no policy in the shadow any more',
      '\nExample:\n  $ winnow policy shadow-end',
    ),
  ).action((options: SaidOptions) => change(options, { shadow: true }))
}

function registerShow(policy: Command): void {
  client(
    policy,
    'show [version]',
    'the policy in force, and that in the shadow; or one of another version',
    `
Examples:
  $ winnow policy show
  $ winnow policy show default-2f7a1c33 > policy.yaml`,
  ).action(show)
  client(
    policy,
    'history',
    'which policy was in force since when, and who said so; the newest first',
    `
Example:
  $ winnow policy history --json | jq '.policies[0]'`,
  ).action(history)
}

function registerDiff(policy: Command): void {
  client(
    policy,
    'diff <before> <after>',
    'rule by rule what changes from one policy to another, in words',
    `
A file, \`default\` (what is in force without a file), or a version of \`winnow policy history\` (or its beginning),
for which a running Winnow is asked; \`live\` is the one in force. Exits 1 where the verdicts may differ.

Examples:
  $ winnow policy diff live policy.yaml
  $ winnow policy diff default-2f7a1c33 default-9b01d2e4 --json | jq .changes`,
  ).action(diff)
}

async function diff(before: string, after: string, options: Options): Promise<void> {
  const { diffPolicies } = await import('@winnow/sampler')
  const difference = diffPolicies(
    await policyNamed(before, options),
    await policyNamed(after, options),
  )
  if (options.json) print(JSON.stringify(difference))
  else {
    print(`${difference.before} → ${difference.after}`)
    for (const { rule, kind, text } of difference.changes) {
      print(`${signs[kind]} ${rule.padEnd(16)} ${text.join(`\n  ${''.padEnd(16)} `)}`)
    }
    if (difference.changes.length === 0) print('no difference')
  }
  if (!difference.sameVerdicts) throw new CommandEnd(exitCode.no, '')
}

const signs = { added: '+', removed: '-', changed: '~', moved: '=' } as const

/** A file where there is one of this name; else what the running Winnow has under it. */
export async function policyNamed(name: string, options: Options): Promise<Policy> {
  const { defaultPolicy, parsePolicy, policyOfRecord } = await import('@winnow/sampler')
  if (existsSync(name)) return parsePolicy(readText(name), name)
  if (name === 'default') return defaultPolicy
  const path = name === 'live' ? '' : `?version=${encodeURIComponent(name)}`
  // A version is a hash of its texts.
  const answer = await callApi({ ...options, json: true }, 'GET', `/api/v1/policy${path}`)
  const body = expected<ShownText | PoliciesShown>(answer)
  const shown = 'inForce' in body ? body.inForce?.policy : body
  if (shown === undefined) throw new CommandEnd(exitCode.no, 'no sampler has said its policy yet')
  const found = policyOfRecord(shown)
  if (typeof found !== 'string') return found
  throw new CommandEnd(exitCode.no, `${name}: ${found}`)
}

function said(command: Command): Command {
  return command
    .option('--author <name>', 'who says so (default: the key’s name, else the user)')
    .option('--message <text>', 'why; it stays in the history')
}

async function apply(
  policy: string,
  options: SaidOptions & { readonly shadow?: boolean },
): Promise<void> {
  const isFile = existsSync(policy) || /[/\\]|\.ya?ml$|\.json$/.test(policy)
  await change(options, {
    ...(isFile ? { text: readText(policy) } : { version: policy }),
    ...(options.shadow === true && { shadow: true }),
  })
}

interface Changed {
  readonly applied: ShownPolicy
  readonly before: string | null
}

async function change(options: SaidOptions, what: object): Promise<void> {
  // A key that has a name says who it is.
  const author =
    options.author ??
    (options.key === undefined && options.keyFile === undefined ? user() : undefined)
  const { message } = options
  const answer = await callApi(options, 'POST', '/api/v1/policy', {
    ...what,
    ...(author !== undefined && { author }),
    ...(message !== undefined && { message }),
  })
  refuseMistakes(answer, options)
  const changed = expected<Changed>(answer)
  if (options.json) print(JSON.stringify(changed))
  else print(changedText(changed))
}

function refuseMistakes({ status, body }: ApiAnswer, { json }: Options): void {
  if (status !== 422) return
  const { mistakes } = (body as { error: { mistakes: readonly string[] } }).error
  if (json) print(JSON.stringify(body))
  else for (const mistake of mistakes) process.stderr.write(`winnow: ${mistake}\n`)
  throw new CommandEnd(exitCode.no, json ? '' : 'nothing was applied')
}

function changedText({ applied, before }: Changed): string {
  const { version, kind, source } = applied
  if (source === 'released')
    return `${version} stays in force until a sampler's configuration file changes, or a sampler starts`
  if (kind === 'live') return `${version} is in force${before === null ? '' : `, after ${before}`}`
  if (version === null) return before === null ? 'there was no shadow' : `${before} has ended`
  return `${version} runs in the shadow${before === null ? '' : `, after ${before}`}`
}

async function show(version: string | undefined, options: Options): Promise<void> {
  const query = version === undefined ? '' : `?version=${encodeURIComponent(version)}`
  const asIs = { ...options, json: true }
  const body = expected<unknown>(await callApi(asIs, 'GET', `/api/v1/policy${query}`))
  if (options.json) {
    print(JSON.stringify(body))
    return
  }
  if (version !== undefined) {
    print(await policyText(body as ShownText))
    return
  }
  const { inForce, shadow, broken } = body as PoliciesShown
  if (broken !== undefined) print(`# ! ${broken}`)
  if (inForce === null) throw new CommandEnd(exitCode.no, 'no sampler has said its policy yet')
  print(`# in force: ${entryText(inForce)}\n${await policyText(inForce.policy)}`)
  if (shadow !== null)
    print(`---\n# in the shadow: ${entryText(shadow)}\n${await policyText(shadow.policy)}`)
}

/** The file as it was written; else the rules, which are the same to the program. */
export async function policyText({ version, rules, ceilings, text }: ShownText): Promise<string> {
  if (text !== undefined) return text.trimEnd()
  const { stringify } = await import('yaml')
  const limits = ceilings === undefined ? {} : { ceilings }
  return stringify({ version: version.slice(0, -9), rules, ...limits }).trimEnd()
}

async function history(options: Options): Promise<void> {
  const body = expected<{ policies: readonly ShownPolicy[] }>(
    await callApi(options, 'GET', '/api/v1/policy/history'),
  )
  if (options.json) print(JSON.stringify(body))
  else for (const entry of body.policies) print(entryText(entry))
}

function entryText({ version, kind, source, at, author, key, message }: ShownPolicy): string {
  const role = kind === 'shadow' ? 'shadow' : 'live  '
  const who = author ?? (source === 'file' ? 'a configuration file' : 'somebody')
  const what = source === 'released' ? 'released to the files' : (version ?? 'ended')
  return `${at}  ${role}  ${what}  by ${who}${key === undefined ? '' : ` (key ${key})`}${message === undefined ? '' : `: ${message}`}`
}

function user(): string | undefined {
  try {
    return userInfo().username
  } catch {
    // A user id without a name, as containers have it.
    return undefined
  }
}
