import type { ComponentChildren } from 'preact'

/** A table that may be wider than the page: what is scrolled can be scrolled by the keyboard, too. */
export function Wide({
  label,
  children,
}: {
  readonly label: string
  readonly children: ComponentChildren
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: without it nobody scrolls it but with a pointer
    <section class="wide" tabIndex={0} aria-label={label}>
      {children}
    </section>
  )
}
