import type { AgeReport } from './age.ts'

const shownMax = 50
const hourMs = 3_600_000

/** A line a place, a line a finding, and the verdict. Pure. */
export function ageText(report: AgeReport): string {
  const { places, findings, counts, agrees, lifecycle } = report
  const found = Object.entries(counts).map(([kind, count]) => `${count} ${kind}`)
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return [
    `  ${'where'.padEnd(11)} ${'objects'.padStart(9)} ${'bytes'.padStart(15)} ${'kept for'.padStart(9)}  oldest`,
    ...places.map(({ where, objects, bytes, oldest, lifeMs }) =>
      [
        `  ${where.padEnd(11)} ${String(objects).padStart(9)} ${String(bytes).padStart(15)}`,
        (lifeMs === null ? 'its end' : lifeText(lifeMs)).padStart(9),
        ` ${oldest ?? '-'}`,
      ].join(' '),
    ),
    ...(lifecycle === null ? [] : [`  rules of the bucket: ${lifecycle}`]),
    '',
    ...findings.slice(0, shownMax).map(({ kind, key, says }) => `✗ ${kind} ${key}: ${says}`),
    ...(all > shownMax ? [`✗ and ${all - shownMax} more: --json has ${findings.length}`] : []),
    agrees ? '✓ nothing is older than its tier allows' : `✗ ${found.join(', ')}`,
    '',
  ].join('\n')
}

function lifeText(ms: number): string {
  const hours = ms / hourMs
  return hours < 48 ? `${hours} h` : `${hours / 24} d`
}
