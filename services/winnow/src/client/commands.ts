import { readFileSync } from 'node:fs'
import process from 'node:process'
import type { Content, ContentLevel, Why } from '@winnow/query'
import type { Command } from 'commander'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import type { WaterfallSpan } from '../render/waterfall.ts'
import { type ApiAnswer, type ClientOptions, callApi, defaultUrl, expected } from './api-client.ts'
import type { VerifyOptions } from './verify.ts'

type Options = ClientOptions

/** The commands that ask a running Winnow. Renderers are imported late: `why` has to start at once. */
export function registerClientCommands(program: Command): void {
  client(
    program,
    'why <trace-id>',
    'why a trace was kept or dropped',
    `
Examples:
  $ winnow why 48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f
  $ winnow why 48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f --json | jq .rules`,
  ).action(showWhy)
  client(
    program,
    'trace <trace-id>',
    'a kept trace as a waterfall',
    `
It needs no date: once the hot store has the trace no more, it is read from warm or cold. What has expired of it is said
(docs/levels.md).

Examples:
  $ winnow trace 48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f
  $ winnow trace 48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f --format otlp > trace.json`,
  )
    .option('--format <format>', 'otlp: as OTLP/JSON')
    .action(showTrace)
  registerSearch(program)
  client(
    program,
    'sampling',
    'how many were kept and dropped, by rule and service',
    `
Examples:
  $ winnow sampling --since 1h`,
  )
    .option('--since <time>', 'decided since: RFC 3339, or 15m, 24h, 7d')
    .action(showSampling)
  client(
    program,
    'evaluate <trace-id> <name=value...>',
    'report an outcome of a trace',
    `
A number is a score, true or false a verdict, anything else a label.

Examples:
  $ winnow evaluate 48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f csat=2
  $ winnow evaluate 48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f judge=fail citation=false --source reviewer`,
  )
    .option('--source <who>', 'who says so')
    .option('--comment <text>', 'free text; content, never a fact')
    .action(evaluate)
  client(
    program,
    'rescue <trace-id>',
    'keep a dropped trace while its bytes can be read',
    `
Examples:
  $ winnow rescue 48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f --reason "customer escalation"`,
  )
    .requiredOption('--reason <text>', 'why; it stays with the decision')
    .action(rescue)
  client(
    program,
    'verify',
    'whether every received span is accounted for, from the topics alone',
    `
It asks the running query. Where none answers it reads the topics themselves, as with --data or --config;
beside a running process too, without changing anything. Exits 1 where the spans do not balance.

Examples:
  $ winnow verify
  $ winnow verify --full --json | jq .offending
  $ winnow verify --data ./data                 a folder whose process has ended
  $ WINNOW_BUS=kafka://127.0.0.1:9092 winnow verify`,
  )
    .option('--full', 'read all that is retained anew')
    .option('--all-tenants', 'of all tenants, with a key that has the scope admin')
    .option('--data <dir>', 'read the topics in this data folder')
    .option('--config <file>', 'read the topics of the bus that this winnow.yaml names')
    .action(showVerify)
}

function registerSearch(program: Command): void {
  client(
    program,
    'search',
    'list traces',
    `
Examples:
  $ winnow search --rule citation-failed --since 1h
  $ winnow search --state dropped --service refund-bot --limit 10 --json
  $ winnow search --tier cold --since 2026-08-01 --rule citation-failed     winnow trace opens what it lists
  $ winnow search --estimate --service refund-bot --since 24h     how many there are, dropped ones too`,
  )
    .option('--state <state>', 'kept (default), dropped, expired or awaiting')
    .option('--tier <tier>', 'hot (default); warm or cold: of one day, from --since on')
    .option('--rule <name>', 'matched by this rule')
    .option('--service <name>', 'whose root is of this service')
    .option('--variant <name>', 'of this experiment variant')
    .option('--since <time>', 'decided since: RFC 3339, or 15m, 24h, 7d')
    .option('--until <time>', 'decided before')
    .option('--min-duration-ms <ms>', 'whose root took at least this')
    .option('--limit <count>', 'at most so many (default 50)')
    .option('--cursor <cursor>', 'the page after this one')
    .option(
      '--estimate',
      'of all such traces, from the kept ones: how many, error rate, tokens, cost, durations, each with its 95 % interval',
    )
    .action(showSearch)
}

/** A command that asks a running Winnow: where it is, and with which key. */
export function client(
  program: Command,
  usage: string,
  description: string,
  help: string,
): Command {
  return program
    .command(usage)
    .description(description)
    .option('--url <url>', 'where the API is', defaultUrl)
    .option('--key <key>', 'API key, where keys are configured')
    .option(
      '--key-file <file>',
      'a file with the key, which other users of this machine cannot list',
    )
    .option('--ca <file>', 'PEM of the authority to trust, for https')
    .option('--cert <file>', 'PEM of a client certificate, where the API asks for one')
    .option('--cert-key <file>', 'PEM of its private key')
    .option('--json', 'the answer of the API as it is')
    .addHelpText('after', help)
}

async function showWhy(id: string, options: Options): Promise<void> {
  const answer = await askBack(options, `${encodeURIComponent(id)}/why`, body => body as Why)
  const why = expected<Why>(answer)
  if (options.json) print(JSON.stringify(why))
  else {
    const { whyText } = await import('../render/why-text.ts')
    print(whyText(why, process.stdout.hasColors?.() === true).trimEnd())
  }
  if (why.state === 'unknown') throw new CommandEnd(exitCode.no, '')
}

interface ShownTrace {
  readonly why: Why
  readonly spans: readonly WaterfallSpan[]
  readonly content: Content
  readonly tier: string
  readonly withheld?: unknown
}

async function showTrace(id: string, options: Options & { format?: string }): Promise<void> {
  if (options.format !== undefined && options.format !== 'otlp') {
    throw new CommandEnd(exitCode.usage, `--format "${options.format}" is unknown; there is otlp`)
  }
  const asJson = options.json === true || options.format === 'otlp'
  const query = new URLSearchParams()
  if (options.format !== undefined) query.set('format', options.format)
  const whyOf = (body: unknown) => (body as { readonly why?: Why } | null)?.why
  const shownAs = { ...options, json: asJson }
  const answer = await askBack(shownAs, encodeURIComponent(id), whyOf, query)
  if (answer.status === 404 && options.json) print(JSON.stringify(answer.body))
  const trace = expected<ShownTrace>(answer)
  if (asJson) {
    print(JSON.stringify(trace))
    return
  }
  const { waterfall } = await import('../render/waterfall.ts')
  const { whyText } = await import('../render/why-text.ts')
  const { contentText } = await import('../render/content-text.ts')
  const [headline, , sentence] = whyText(trace.why, process.stdout.hasColors?.() === true).split(
    '\n',
  )
  const content = contentText(trace.content, trace.tier, trace.withheld !== undefined)
  const lines = [headline, sentence, ...(content === undefined ? [] : [content]), '']
  print(`${lines.join('\n')}\n${waterfall(trace.spans, process.stdout.columns ?? 120).trimEnd()}`)
}

/**
 * One request searches so many days of the ledger and says how far it came: nobody who asks for a trace
 * has to know its day, so that the days before are asked for until it is found or all are searched.
 */
async function askBack(
  options: Options,
  what: string,
  whyOf: (body: unknown) => Why | undefined,
  query = new URLSearchParams(),
): Promise<ApiAnswer> {
  for (;;) {
    const path = `/api/v1/traces/${what}${query.size > 0 ? `?${query}` : ''}`
    const answer = await callApi(options, 'GET', path)
    const why = whyOf(answer.body)
    const { complete = true, ledgerSince = null } = why?.searched ?? {}
    if (why?.state !== 'unknown' || complete || ledgerSince === null) return answer
    query.set('before', ledgerSince)
  }
}

async function showSearch(
  options: Options & { estimate?: true } & Record<string, string | boolean | undefined>,
): Promise<void> {
  const names = [
    'state',
    'tier',
    'rule',
    'service',
    'variant',
    'since',
    'until',
    'minDurationMs',
    'limit',
    'cursor',
  ]
  const query = new URLSearchParams()
  for (const name of names) {
    const value = options[name]
    if (value !== undefined) query.set(name, String(value))
  }
  if (options.estimate) {
    await showEstimate(options, query)
    return
  }
  const page = expected<{
    traces: readonly {
      traceId: string
      primary: string
      service: string | null
      operation: string | null
      durationMs: number | null
      decidedAt: string
    }[]
    tiersSearched: readonly string[]
    cursor?: string
    unreadable?: readonly string[]
  }>(await callApi(options, 'GET', `/api/v1/search?${query}`))
  if (options.json) print(JSON.stringify(page))
  else {
    for (const trace of page.traces) {
      const took = trace.durationMs === null ? '' : `${Math.round(trace.durationMs)} ms`
      print(
        `${trace.decidedAt}  ${trace.traceId}  ${trace.primary.padEnd(16)} ${took.padStart(9)}  ${trace.service ?? ''} ${trace.operation ?? ''}`,
      )
    }
    print(
      `${page.traces.length} traces; searched: ${page.tiersSearched.join(', ')}${page.cursor === undefined ? '' : `; more: --cursor ${page.cursor}`}`,
    )
    for (const key of page.unreadable ?? []) print(`could not be read: ${key}`)
  }
  if (page.traces.length === 0) throw new CommandEnd(exitCode.no, '')
}

async function showEstimate(options: Options, query: URLSearchParams): Promise<void> {
  query.set('estimate', 'true')
  const answer = expected<import('@winnow/query').EstimateAnswer>(
    await callApi(options, 'GET', `/api/v1/search?${query}`),
  )
  if (options.json) print(JSON.stringify(answer))
  else {
    const { estimateText } = await import('../render/estimate-text.ts')
    print(estimateText(answer).trimEnd())
  }
  if (answer.kept === 0) throw new CommandEnd(exitCode.no, '')
}

async function showSampling(options: Options & { since?: string }): Promise<void> {
  const query = options.since === undefined ? '' : `?since=${encodeURIComponent(options.since)}`
  const report = expected<import('@winnow/query').SamplingReport>(
    await callApi(options, 'GET', `/api/v1/sampling${query}`),
  )
  if (options.json) print(JSON.stringify(report))
  else {
    const { samplingText } = await import('../render/sampling-text.ts')
    print(samplingText(report).trimEnd())
  }
}

async function evaluate(
  traceId: string,
  pairs: readonly string[],
  options: Options & { source?: string; comment?: string },
): Promise<void> {
  const { source, comment } = options
  const body = pairs.map(pair => ({
    traceId,
    ...parseOutcome(pair),
    ...(source !== undefined && { source }),
    ...(comment !== undefined && { comment }),
  }))
  const answer = expected<{ evaluations: readonly { id: string; state: string }[] }>(
    await callApi(options, 'POST', '/api/v1/evaluations', body),
  )
  if (options.json) print(JSON.stringify(answer))
  else for (const { id, state } of answer.evaluations) print(`${state} ${id}`)
}

/** `csat=2` is a score, `citation=false` a verdict, `judge=fail` a label. */
export function parseOutcome(pair: string): Readonly<Record<string, string | number | boolean>> {
  const at = pair.indexOf('=')
  const name = pair.slice(0, Math.max(at, 0)).trim()
  const value = pair.slice(at + 1).trim()
  if (name === '' || value === '') {
    throw new CommandEnd(exitCode.usage, `"${pair}" is not NAME=VALUE, as csat=2 or judge=fail`)
  }
  if (/^(true|false)$/i.test(value)) return { name, passed: value.toLowerCase() === 'true' }
  if (!/^([+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|infinity)|nan)$/i.test(value)) {
    return { name, label: value }
  }
  if (Number.isFinite(Number(value))) return { name, score: Number(value) }
  throw new CommandEnd(
    exitCode.usage,
    `"${pair}" is no number that can be stored; give a finite one`,
  )
}

async function rescue(id: string, options: Options & { reason: string }): Promise<void> {
  const path = `/api/v1/traces/${encodeURIComponent(id)}/rescue`
  const answer = expected<{ state: string; content?: ContentLevel }>(
    await callApi(options, 'POST', path, { reason: options.reason }),
  )
  const aged =
    answer.content === 'structured'
      ? '; its text is older than may be held, so it comes without'
      : ''
  print(
    options.json
      ? JSON.stringify(answer)
      : `${answer.state}: winnow why ${id} shows what became of it${aged}`,
  )
}

async function showVerify(
  options: Options & Omit<VerifyOptions, keyof ClientOptions>,
  command: Command,
): Promise<void> {
  const { verifyReport } = await import('./verify.ts')
  const report = await verifyReport(options, command.getOptionValueSource('url') !== 'default')
  if (options.json) print(JSON.stringify(report))
  else {
    const { verifyText } = await import('../render/verify-text.ts')
    print(verifyText(report).trimEnd())
  }
  if (!report.balanced) throw new CommandEnd(exitCode.no, '')
}

export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new CommandEnd(exitCode.usage, `cannot read ${file}: ${(cause as Error).message}`)
  }
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
