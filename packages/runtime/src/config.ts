import { acceptsVersion, type FormatName, readVersions } from '@winnow/model'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { PipelineError } from './errors.ts'
import { yamlMistake, yamlTextMistake } from './yaml-text.ts'

const DURATION_UNITS_MS = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const
const BYTE_UNITS = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const

/** A key like `quiet: 5s`; its value inside is milliseconds. `fallback` is written as a user would. */
export function durationKey(fallback: string) {
  return quantityKey(fallback, DURATION_UNITS_MS, durationExamples)
}

/** The same where nothing stands for an absent one. */
export function durationOrNone() {
  const read = quantityOf(DURATION_UNITS_MS, durationExamples)
  return quantityText(durationExamples).transform(read).optional()
}

const durationExamples = '5s, 250ms, 2min, 24h or 7d'

/** A key like `maxBytes: 16MiB`; its value inside is bytes. */
export function bytesKey(fallback: string) {
  return quantityKey(fallback, BYTE_UNITS, '64KiB, 16MiB or 2GiB')
}

/** A key like `listen: 127.0.0.1:4317`; port 0 picks a free one. */
export function addressKey(fallback: string) {
  return z
    .string()
    .default(fallback)
    .transform((text, context): Address => {
      const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
      const port = Number(match?.[3])
      if (match !== null && port <= 65_535) return { host: match[1] ?? match[2] ?? '', port }
      context.addIssue({ code: 'custom', message: 'use HOST:PORT, as 127.0.0.1:4317' })
      return z.NEVER
    })
}

/** `v` of a file that people write: the version of this release, or the one before. */
export function versionKey(format: FormatName) {
  return z.int().refine(v => acceptsVersion(format, v), {
    error: `is the format of the file; this release reads ${readVersions(format)}`,
  })
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** Whether a host, an IPv6 address in brackets too, is this machine alone. */
export function isLoopback(host: string): boolean {
  return /^(localhost|\[?::1\]?|127(?:\.\d{1,3}){3})$/.test(host)
}

function quantityKey(fallback: string, units: Readonly<Record<string, number>>, examples: string) {
  return quantityText(examples).default(fallback).transform(quantityOf(units, examples))
}

const quantityText = (examples: string) =>
  z.string({ error: `use a number with a unit: ${examples}` })

function quantityOf(units: Readonly<Record<string, number>>, examples: string) {
  return (text: string, context: z.RefinementCtx): number => {
    const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim())
    const unit = units[match?.[2] ?? '']
    if (match !== null && unit !== undefined) return Math.round(Number(match[1]) * unit)
    context.addIssue({ code: 'custom', message: `use a number with a unit: ${examples}` })
    return z.NEVER
  }
}

/**
 * Reads a YAML text, lets `WINNOW_…` variables override its keys, and checks the whole at once.
 * The variable of `assembler.openMax` is `WINNOW_ASSEMBLER_OPEN_MAX`; with `_FILE` appended it names a
 * file that holds the value. Rejects with CONFIG_INVALID that lists every mistake.
 */
export function readConfig<T>(
  schema: z.ZodType<T>,
  options: {
    readonly text?: string
    /** How the text is called in errors. */
    readonly source?: string
    readonly env?: Readonly<Record<string, string | undefined>>
    /** Dotted key paths that variables may set; each is a leaf of the schema. */
    readonly keys: readonly string[]
    readonly readFile?: (path: string) => string
  },
): T {
  const source = options.source ?? 'configuration'
  const tree = parseTree(options.text ?? '', source)
  const mistakes = applyEnvironment(schema, tree, options)
  const result = schema.safeParse(tree)
  for (const issue of result.error?.issues ?? []) {
    if (issue.code === 'unrecognized_keys') mistakes.push(...unknownKeys(issue, options.keys))
    else mistakes.push(describe(issue, tree))
  }
  if (result.success && mistakes.length === 0) return result.data
  throw new PipelineError('CONFIG_INVALID', `${source}:\n${mistakes.join('\n')}`)
}

/** One mistake: its key, what stands there (a key that may hold a secret apart), and the remedy. */
function describe(issue: z.core.$ZodIssue, tree: Tree): string {
  const path = issue.path.map(String)
  let value: unknown = tree
  for (const part of path) value = (value as Tree | undefined)?.[part]
  // An address may have a password before its host, also where that is the mistake.
  const secret = /key|password|secret|token/i.test(path.at(-1) ?? '') || /:.*@/.test(`${value}`)
  const shown = value === undefined || typeof value === 'object' || secret ? '' : ` is "${value}"`
  const key = path.length === 0 ? 'top level' : path.join('.')
  return `✖ ${key}${shown}: ${issue.message}`
}

/** One mistake each. A key that stands in another section is named with it. */
function unknownKeys(
  { path, keys }: z.core.$ZodIssueUnrecognizedKeys,
  known: readonly string[],
): string[] {
  return keys.map(key => {
    const others = known.filter(one => one.endsWith(`.${key}`))
    const hint = others.length === 0 ? '' : `; did you mean ${others.join(' or ')}?`
    return noSuchKey([...path, key].join('.')) + hint
  })
}

const noSuchKey = (name: string): string => `✖ ${name} names no key; winnow.example.yaml lists them`

/** `assembler.openMax` → `WINNOW_ASSEMBLER_OPEN_MAX`. */
export function variableOf(keyPath: string): string {
  const words = keyPath.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').replaceAll('.', '_')
  return `WINNOW_${words.toUpperCase()}`
}

type Tree = { [key: string]: unknown }

function parseTree(text: string, source: string): Tree {
  const mistake = yamlTextMistake(text)
  if (mistake !== undefined) throw new PipelineError('CONFIG_INVALID', `${source} ${mistake}`)
  let parsed: unknown
  try {
    parsed = parseYaml(text, { logLevel: 'error', prettyErrors: false }) ?? {}
  } catch (error) {
    throw new PipelineError('CONFIG_INVALID', `${source} ${yamlMistake(error, text)}`)
  }
  if (typeof parsed === 'object' && !Array.isArray(parsed)) return parsed as Tree
  throw new PipelineError('CONFIG_INVALID', `${source}: the top level must be keys and values`)
}

function applyEnvironment(
  schema: z.ZodType,
  tree: Tree,
  options: Parameters<typeof readConfig>[1],
): string[] {
  const byVariable = new Map(options.keys.map(key => [variableOf(key), key]))
  const shape = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  const mistakes: string[] = []
  for (const [name, given] of Object.entries(options.env ?? {})) {
    if (!name.startsWith('WINNOW_') || given === undefined) continue
    const direct = byVariable.get(name)
    const fromFile = direct === undefined ? byVariable.get(name.replace(/_FILE$/, '')) : undefined
    const key = direct ?? fromFile
    if (key === undefined) {
      mistakes.push(noSuchKey(name))
      continue
    }
    try {
      const text = fromFile === undefined ? given : (options.readFile?.(given) ?? '').trim()
      const path = key.split('.')
      setPath(tree, path, isTextAt(shape, path) ? text : (parseYaml(text) ?? text))
    } catch (cause) {
      const what = fromFile === undefined ? 'its value is not YAML' : `cannot read ${given}`
      mistakes.push(`✖ ${name}: ${what}: ${(cause as Error).message}`)
    }
  }
  return mistakes
}

/**
 * Whether the key at `path` takes text. Such a value is taken as it stands: read as YAML, a password of
 * digits would be a number, one with ` #` would lose its end, and `[::1]:4317` would be a list.
 */
function isTextAt(shape: unknown, path: readonly string[]): boolean {
  let at = shape as { readonly type?: unknown; readonly properties?: Readonly<Tree> } | undefined
  for (const part of path) at = at?.properties?.[part] as typeof at
  return at?.type === 'string'
}

function setPath(tree: Tree, path: readonly string[], value: unknown): void {
  const [head, ...rest] = path
  if (head === undefined) return
  if (rest.length === 0) {
    tree[head] = value
    return
  }
  const child = tree[head]
  const branch: Tree = typeof child === 'object' && child !== null ? (child as Tree) : {}
  tree[head] = branch
  setPath(branch, rest, value)
}

/**
 * How long a server leaves an idle connection open: longer than clients do, so that it is always the client
 * that closes. Else a request may meet a connection that is being closed, and is reset.
 */
export const keepAliveMs = 75_000
