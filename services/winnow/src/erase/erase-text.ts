import type { ShownErasure } from '@winnow/writer'

/** An erasure for people: where it stands, and what was removed where; its receipt once it is done. */
export function erasureText(erasure: ShownErasure): string {
  const { id, state, step, where, dryRun, by, traces, removed, waitsFor, why, resumed, failing } =
    erasure
  const lines = [
    `erasure ${id}  ${state}${step === undefined ? '' : `, ${step}`}${dryRun ? ' (dry run: nothing is removed)' : ''}`,
    `  by ${where}${by === undefined ? '' : `, asked with key ${by}`}, at ${erasure.askedAt}`,
    `  traces    ${traces}${state === 'running' ? ' so far' : ''}`,
  ]
  const verb = dryRun ? 'would be removed' : 'removed'
  for (const [place, { objects, rows, bytes }] of Object.entries(removed)) {
    if (dryRun && place === 'hot') continue
    const what = { hot: `${objects} traces`, holds: `${objects} holds` }[place]
    const least = what !== undefined && resumed ? 'at least ' : ''
    const size = dryRun ? '' : `, ${bytes} bytes`
    const said = what ?? `${objects} objects written anew`
    const ofRows = place === 'holds' ? '' : `, ${rows} rows`
    lines.push(`  ${place.padEnd(9)} ${least}${said}${ofRows}${size} ${verb}`)
  }
  if (erasure.blockedAt !== undefined) lines.push(`  blocked since ${erasure.blockedAt}`)
  for (const { where: place, until } of waitsFor) {
    lines.push(`  ${state === 'done' ? 'expired from' : 'expires from'} ${place}: ${until}`)
  }
  if (failing !== undefined) {
    lines.push(`  failing since ${failing.at}, tried again: ${failing.code} ${failing.text}`)
  }
  for (const what of erasure.notReached ?? []) lines.push(`  not reached: ${what}`)
  if (why !== undefined) lines.push(`  ${why}`)
  if (erasure.endedAt !== undefined) lines.push(`  ended at ${erasure.endedAt}`)
  else if (state === 'waiting-for-retention') {
    lines.push(`  not done yet: winnow erase --status ${id}`)
  }
  return `${lines.join('\n')}\n`
}
