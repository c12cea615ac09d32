import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { build } from 'vite'

/**
 * `node packages/span-processor/pack.ts [FOLDER]`: the package as an application installs it, one file of
 * JavaScript without dependencies, in FOLDER (default: `dist` beside this file).
 */
const here = import.meta.dirname
const folder = resolve(process.argv[2] ?? join(here, 'dist'))
mkdirSync(folder, { recursive: true })
await build({
  configFile: false,
  root: here,
  logLevel: 'error',
  ssr: { noExternal: true },
  build: {
    ssr: join(here, 'src/index.ts'),
    outDir: folder,
    emptyOutDir: true,
    target: 'node22',
    rolldownOptions: {
      treeshake: { moduleSideEffects: false },
      output: { entryFileNames: 'index.js' },
    },
  },
})
const { name, version, license, type, peerDependencies } = JSON.parse(
  readFileSync(join(here, 'package.json'), 'utf8'),
)
const types = './index.d.ts'
const described = {
  name,
  version,
  license,
  type,
  description: 'OpenTelemetry span processor that redacts personal data and secrets',
  exports: { '.': { types, default: './index.js' } },
  engines: { node: '>=22' },
  peerDependencies,
}
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(described, undefined, 2)}\n`)
writeFileSync(join(folder, 'README.md'), readFileSync(join(here, 'README.md')))
writeFileSync(
  join(folder, 'index.d.ts'),
  `import type { Context } from '@opentelemetry/api'
import type { ReadableSpan, Span, SpanProcessor } from '@opentelemetry/sdk-trace-base'
export interface RedactionOptions {
  readonly secret: string
  readonly tenant?: string
  readonly detect?: readonly string[]
  readonly patterns?: readonly { readonly kind: string; readonly pattern: string }[]
  readonly freeText?: readonly string[]
}
export declare class RedactingSpanProcessor implements SpanProcessor {
  constructor(next: SpanProcessor, options: RedactionOptions)
  onStart(span: Span, parentContext: Context): void
  onEnd(span: ReadableSpan): void
  forceFlush(): Promise<void>
  shutdown(): Promise<void>
}
`,
)
