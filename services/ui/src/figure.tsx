/** A figure: what people read, the exact value as data, and the way to the rows that it adds up. */
export function Figure({
  value,
  text,
  href,
  of,
}: {
  readonly value: number
  readonly text: string
  /** Undefined: nothing was decided for it, as of what is fixed. */
  readonly href?: string | undefined
  /** What it is a figure of, for who does not see the table. */
  readonly of: string
}) {
  const shown = <data value={String(value)}>{text}</data>
  if (href === undefined) return shown
  return (
    <a class="figure" href={href} aria-label={`${of}: ${text}, its rows`}>
      {shown}
    </a>
  )
}
