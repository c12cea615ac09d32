import { useEffect, useId, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { Figure } from './figure.tsx'
import { cumulated, type Layer, layerAt, type Stack, totalAt, totalOfLayer } from './series.ts'
import { Wide } from './wide.tsx'

interface PictureProps {
  readonly title: string
  readonly note: string
  readonly stack: Stack
  readonly text: (value: number) => string
  /** Whether layers add up over places: days do, states of a forecast do not. */
  readonly isSummed: boolean
  /** The rows of a layer, or of all of them, at a place, or in the window. */
  readonly linkOf: (layer: string | undefined, at: number | undefined) => string | undefined
  readonly theme: string
}

/** Stacked bars, what is chosen of them in words, and all of it as a table. */
export function Picture(props: PictureProps) {
  const { title, note, stack, text, isSummed, linkOf } = props
  const [chosen, setChosen] = useState<number>()
  const id = useId()
  const at = chosen !== undefined && chosen < stack.labels.length ? chosen : undefined
  const shownAt = at ?? (isSummed ? undefined : stack.labels.length - 1)
  const amountOf = (layer: Layer): number =>
    shownAt === undefined ? totalOfLayer(layer) : (layer.values[shownAt] ?? 0)
  const total = stack.layers.reduce((sum, layer) => sum + amountOf(layer), 0)
  const where = shownAt === undefined ? 'in all' : (stack.labels[shownAt] ?? '')
  return (
    <section class="picture" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <p class="note">{note}</p>
      <div class="drawn">
        <Bars {...props} chosen={at} onChoose={setChosen} />
        <div class="legend">
          <p role="status">
            {where}:{' '}
            <Figure
              value={total}
              text={text(total)}
              of={`${title}, ${where}`}
              href={linkOf(undefined, shownAt)}
            />
          </p>
          <ul>
            {stack.layers
              .map((layer, index) => (
                <li key={layer.name}>
                  <span class={`swatch c${index}`} aria-hidden="true" /> {layer.name}{' '}
                  <Figure
                    value={amountOf(layer)}
                    text={text(amountOf(layer))}
                    of={`${layer.name}, ${where}`}
                    href={linkOf(layer.name, shownAt)}
                  />
                </li>
              ))
              .toReversed()}
          </ul>
        </div>
      </div>
      <StackTable {...props} />
    </section>
  )
}

function StackTable({ title, stack, text, linkOf }: PictureProps) {
  return (
    <details>
      <summary>{title}, as a table</summary>
      <Wide label={`${title}, as a table`}>
        <table>
          <thead>
            <tr>
              <th scope="col" />
              {stack.layers.map(({ name }) => (
                <th scope="col" key={name}>
                  {name}
                </th>
              ))}
              <th scope="col">in all</th>
            </tr>
          </thead>
          <tbody>
            {stack.labels.map((label, at) => (
              <tr key={label}>
                <th scope="row">{label}</th>
                {stack.layers.map(({ name, values }) => (
                  <td key={name}>
                    <Figure
                      value={values[at] ?? 0}
                      text={text(values[at] ?? 0)}
                      of={`${name}, ${label}`}
                      href={linkOf(name, at)}
                    />
                  </td>
                ))}
                <td>
                  <Figure
                    value={totalAt(stack, at)}
                    text={text(totalAt(stack, at))}
                    of={label}
                    href={linkOf(undefined, at)}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
    </details>
  )
}

const heightPx = 220

function Bars({
  title,
  stack,
  text,
  linkOf,
  theme,
  chosen,
  onChoose,
}: PictureProps & {
  readonly chosen: number | undefined
  readonly onChoose: (at: number | undefined) => void
}) {
  const frame = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const hint = useId()
  // What is drawn depends on the figures and the colours alone; the functions are of the latest drawing.
  const latest = useRef({ onChoose, linkOf })
  latest.current = { onChoose, linkOf }
  // Colours are read from the theme's style
  useEffect(() => {
    const element = frame.current
    if (element === null) return
    const drawn = new uPlot(
      optionsOf(stack, element.clientWidth, text, at => latest.current.onChoose(at)),
      [stack.labels.map((_, at) => at), ...cumulated(stack).toReversed()],
      element,
    )
    plot.current = drawn
    drawn.over.addEventListener('click', () => {
      const { idx, top = 0 } = drawn.cursor
      if (idx === null || idx === undefined) return
      const layer = layerAt(stack, idx, drawn.posToVal(top, 'y'))
      const href = latest.current.linkOf(layer?.name, idx)
      if (href !== undefined) location.hash = href
    })
    const resized = new ResizeObserver(() =>
      drawn.setSize({ width: element.clientWidth, height: heightPx }),
    )
    resized.observe(element)
    return () => {
      resized.disconnect()
      drawn.destroy()
    }
  }, [stack, theme])
  const last = stack.labels.length - 1
  const move = (to: number | undefined): void => {
    onChoose(to)
    const left = to === undefined ? -10 : (plot.current?.valToPos(to, 'x') ?? -10)
    plot.current?.setCursor({ left, top: to === undefined ? -10 : 0 }, false)
  }
  const onKeyDown = (event: KeyboardEvent): void => {
    const to = {
      ArrowLeft: chosen === undefined ? last : Math.max(0, chosen - 1),
      ArrowRight: chosen === undefined ? 0 : Math.min(last, chosen + 1),
      Home: 0,
      End: last,
    }[event.key]
    const href = event.key === 'Enter' ? linkOf(undefined, chosen) : undefined
    if (to !== undefined) move(to)
    else if (event.key === 'Escape') move(undefined)
    else if (href !== undefined) location.hash = href
    else return
    event.preventDefault()
  }
  return (
    <div class="bars">
      <div
        class="frame"
        ref={frame}
        role="slider"
        aria-roledescription="stacked bars"
        aria-label={title}
        aria-describedby={hint}
        aria-valuemin={0}
        aria-valuemax={last}
        aria-valuenow={chosen ?? last}
        aria-valuetext={`${stack.labels[chosen ?? last]}: ${text(totalAt(stack, chosen ?? last))}`}
        tabIndex={0}
        onKeyDown={onKeyDown}
      />
      <p class="note" id={hint}>
        ← and → choose a bar, Enter lists its rows, Esc leaves it.
      </p>
    </div>
  )
}

function optionsOf(
  stack: Stack,
  width: number,
  text: (value: number) => string,
  onChoose: (at: number | undefined) => void,
): uPlot.Options {
  const style = getComputedStyle(document.documentElement)
  const colour = (name: string): string => style.getPropertyValue(name).trim()
  const count = stack.labels.length
  const labelPx = 90
  const step = Math.max(1, Math.ceil(count / Math.max(1, Math.floor((width - 80) / labelPx))))
  const axis = {
    stroke: colour('--ink'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
    font: '12px system-ui, sans-serif',
  }
  const bars = uPlot.paths.bars?.({ size: [0.7, 72] })
  return {
    width,
    height: heightPx,
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { time: false, range: [-0.5, count - 0.5] },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.05 : 1] },
    },
    axes: [
      {
        ...axis,
        splits: () => stack.labels.map((_, at) => at).filter(at => at % step === 0),
        values: (_, splits) => splits.map(at => stack.labels[at] ?? ''),
        grid: { show: false },
      },
      { ...axis, size: 76, values: (_, splits) => splits.map(text) },
    ],
    series: [
      {},
      ...stack.layers
        .map(({ name }, index) => ({
          label: name,
          fill: colour(`--c${index}`),
          width: 0,
          points: { show: false },
          ...(bars !== undefined && { paths: bars }),
        }))
        .toReversed(),
    ],
    hooks: {
      // Of the pointer alone: what the keyboard chose stays until it chooses again.
      setCursor: [({ cursor: { event, idx } }) => event && onChoose(idx ?? undefined)],
    },
  }
}
