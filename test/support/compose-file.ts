import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse } from 'yaml'

export const root = resolve(import.meta.dirname, '../..')

export interface ComposeService {
  readonly image: string
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  readonly user?: string
  readonly read_only?: boolean
  readonly environment?: Readonly<Record<string, unknown>>
  readonly secrets?: readonly string[]
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly healthcheck?: { readonly test?: unknown; readonly disable?: boolean }
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
  readonly volumes: Readonly<Record<string, unknown>>
}

export const composeText = readFileSync(join(root, 'docker-compose.yml'), 'utf8')

/** As compose reads it: anchors resolved, `<<` merged. */
export const compose = parse(composeText, { merge: true }) as ComposeFile

export const stages = ['receiver', 'assembler', 'sampler', 'writer', 'query'] as const

/** The `WINNOW_…` variables of a service as its process sees them. */
export function winnowEnv(name: string): Record<string, string> {
  const entries = Object.entries(compose.services[name]?.environment ?? {})
  return Object.fromEntries(
    entries.filter(([key]) => key.startsWith('WINNOW_')).map(([key, value]) => [key, `${value}`]),
  )
}

/** What a path below /run/secrets holds. */
export function secretText(path: string): string {
  const file = compose.secrets[path.replace('/run/secrets/', '')]?.file
  if (file === undefined) throw new Error(`${path} is no secret of docker-compose.yml`)
  return readFileSync(join(root, file), 'utf8')
}

export interface Instruction {
  readonly name: string
  readonly rest: string
}

/** The instructions of the Dockerfile, continued lines joined. */
export const dockerfile: readonly Instruction[] = readFileSync(
  join(root, 'deploy/Dockerfile'),
  'utf8',
)
  .replaceAll(/\\\n/g, ' ')
  .split('\n')
  .filter(line => line.trim() !== '' && !line.startsWith('#'))
  .map(line => {
    const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? []
    return { name, rest }
  })

/** The list of a CMD, an ENTRYPOINT. */
export function listOf(name: string): readonly string[] {
  return JSON.parse(dockerfile.find(one => one.name === name)?.rest ?? '[]') as string[]
}

/** What COPY takes and where to, both relative to the two roots. */
export const copies = dockerfile
  .filter(({ name }) => name === 'COPY')
  .map(({ rest }) => {
    const words = rest.split(/\s+/)
    return { from: words.slice(0, -1), to: words.at(-1) ?? '' }
  })

const ignoring = readFileSync(join(root, '.dockerignore'), 'utf8')
  .split('\n')
  .filter(line => line !== '' && !line.startsWith('#'))

/** Whether `.dockerignore` keeps a path out of the build. The last line that matches decides. */
export function isIgnored(path: string): boolean {
  let ignored = false
  for (const line of ignoring) {
    const pattern = line.replace(/^!/, '')
    if (matches(path, pattern)) ignored = !line.startsWith('!')
  }
  return ignored
}

/** The patterns that the file uses: a name or a path, `*`, and `**` before a slash. A folder's takes what is in it. */
function matches(path: string, pattern: string): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('**/', '\0')
    .replaceAll('*', '[^/]*')
    .replaceAll('\0', '(?:.*/)?')
  return new RegExp(`^${source}(?:/.*)?$`).test(path)
}
