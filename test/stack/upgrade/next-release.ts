import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Change, TreeCopy } from '../../simulation/tree-copy.ts'

const formatsFile = 'packages/model/src/formats.ts'

/** A field that this release does not know, in every format that has fields. */
const laterFields: readonly Change[] = [
  {
    file: 'packages/model/src/tenant-runs.ts',
    from: "v: writtenVersion('tenantRuns'), runs",
    to: "v: writtenVersion('tenantRuns'), later: [1], runs",
  },
  {
    file: 'services/assembler/src/summary-json.ts',
    from: '"kind":"summary",',
    to: '"kind":"summary","later":{"x":[1]},',
  },
  {
    file: 'packages/model/src/evaluation-input.ts',
    from: "kind: 'evaluation', tenant",
    to: "kind: 'evaluation', later: 'x', tenant",
  },
  {
    file: 'services/query/src/routes.ts',
    from: "kind: 'request',",
    to: "kind: 'request', later: 'x',",
  },
  {
    file: 'services/sampler/src/decision-record.ts',
    from: "kind: 'claim', by } satisfies Claim",
    to: "kind: 'claim', by, ...{ later: 1 } } satisfies Claim",
  },
  {
    file: 'services/sampler/src/decision-json.ts',
    from: ',"kind":"decision","tenant":',
    to: ',"kind":"decision","later":{"x":[1]},"tenant":',
  },
  {
    file: 'services/sampler/src/baselines-record.ts',
    from: '"kind":"baselines",',
    to: '"kind":"baselines","later":[],',
  },
  {
    file: 'services/sampler/src/policy-record.ts',
    from: "kind: 'policy', version",
    to: "kind: 'policy', later: 1, version",
  },
  {
    file: 'services/sampler/src/policy-record.ts',
    from: "kind: 'policy-in-force', version, ...more",
    to: "kind: 'policy-in-force', later: 1, version, ...more",
  },
  {
    file: 'services/writer/src/position.ts',
    from: "v: writtenVersion('positionNote'), claim",
    to: "v: writtenVersion('positionNote'), later: 1, claim",
  },
  {
    file: 'services/assembler/src/checkpoint.ts',
    from: 'const head = { v, logId',
    to: 'const head = { v, later: 1, logId',
  },
  {
    file: 'packages/storage/src/segments/segment-metadata.ts',
    from: '    v: metadata.v,\n',
    to: '    v: metadata.v,\n    later: 1,\n',
  },
  {
    file: 'packages/storage/src/index/sorted-file-builder.ts',
    from: 'const footer: SortedFooter = {\n',
    to: 'const footer: SortedFooter & { later: number } = {\n      later: 1,\n',
  },
]

/** A tree whose every format has the next version, and a field more than this one knows of. */
export function nextRelease(): TreeCopy {
  const root = resolve(import.meta.dirname, '../../..')
  const copy = new TreeCopy(root)
  copy.apply(laterFields)
  const path = join(copy.folder, formatsFile)
  const text = readFileSync(path, 'utf8')
  const from = text.indexOf('const current = {')
  const to = text.indexOf('\n}\n', from)
  const raised = text
    .slice(from, to)
    .replaceAll(/^( {2}\w+: )(\d+),$/gm, (_, name: string, v: string) => `${name}${Number(v) + 1},`)
  writeFileSync(path, text.slice(0, from) + raised + text.slice(to))
  return copy
}
