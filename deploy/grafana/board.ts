// What a board is, and how it becomes the JSON that Grafana provisions.

/** What has to run for a query to have data; absent: any `winnow up`. */
export type Needs = 'one process' | 'redis' | 'opensearch' | 's3' | 'kafkaSource'

export interface Query {
  /** PromQL; `$__rate_interval` is Grafana's. */
  readonly expr: string
  /** What a series is called, with its labels as `{{label}}`. */
  readonly legend: string
  readonly needs?: Needs
}

export interface Panel {
  readonly title: string
  /** What it says, and from where on somebody has to act. */
  readonly text: string
  /** Grafana's name: percentunit, s, short, bytes, Bps, ops. */
  readonly unit: string
  readonly queries: readonly Query[]
  /** A number for now instead of a curve. */
  readonly now?: true
  readonly stacked?: true
  /** From here on it is red. */
  readonly redFrom?: number
  /** Up to here it is red. */
  readonly redTo?: number
}

/** What people set at the top of a board, as `$name` in its queries. */
export interface Variable {
  readonly name: string
  readonly label: string
  readonly value: string
}

export interface Board {
  /** Fixed: links to a board go by it. */
  readonly uid: string
  readonly title: string
  readonly text: string
  readonly variables?: readonly Variable[]
  readonly rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[]
}

/** Of Grafana's dashboard format; 11.0 writes it, later ones read it. */
const schemaVersion = 39

const columns = 24
const rowHeight = 1
const nowHeight = 5
const curveHeight = 8

/** The text of a provisioned file. Ids and places follow the order of the rows. */
export function boardJson(board: Board): string {
  let id = 0
  let y = 0
  const panels: object[] = []
  for (const row of board.rows) {
    panels.push({
      id: ++id,
      type: 'row',
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y, w: columns, h: rowHeight },
      panels: [],
    })
    y += rowHeight
    const perLine = Math.min(row.panels.length, row.panels.every(({ now }) => now) ? 6 : 3)
    const width = Math.floor(columns / perLine)
    const height = row.panels.every(({ now }) => now) ? nowHeight : curveHeight
    row.panels.forEach((panel, at) => {
      const place = { x: (at % perLine) * width, y: y + Math.floor(at / perLine) * height }
      panels.push(panelJson(panel, ++id, { ...place, w: width, h: height }))
    })
    y += Math.ceil(row.panels.length / perLine) * height
  }
  return `${JSON.stringify({ ...frame(board), panels }, null, 2)}\n`
}

const datasource = { type: 'prometheus', uid: '$datasource' }

function frame({ uid, title, text, variables = [] }: Board): object {
  return {
    uid,
    title,
    description: text,
    tags: ['winnow'],
    schemaVersion,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'utc',
    annotations: { list: [] },
    links: [
      { type: 'dashboards', title: 'Winnow', tags: ['winnow'], asDropdown: false, keepTime: true },
    ],
    templating: {
      list: [
        {
          name: 'datasource',
          label: 'Prometheus',
          type: 'datasource',
          query: 'prometheus',
          current: { text: 'Prometheus', value: 'prometheus', selected: true },
          hide: 0,
          refresh: 1,
          options: [],
        },
        ...variables.map(({ name, label, value }) => ({
          name,
          label,
          type: 'textbox',
          query: value,
          current: { text: value, value, selected: true },
          hide: 0,
          options: [{ text: value, value, selected: true }],
        })),
      ],
    },
  }
}

function panelJson(panel: Panel, id: number, gridPos: object): object {
  const { title, text, unit, queries, now, stacked } = panel
  return {
    id,
    type: now ? 'stat' : 'timeseries',
    title,
    description: text,
    datasource,
    gridPos,
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        thresholds: { mode: 'absolute', steps: steps(panel) },
        ...(!now && {
          custom: {
            fillOpacity: stacked ? 30 : 8,
            lineWidth: 1,
            showPoints: 'auto',
            spanNulls: true,
            stacking: { mode: stacked ? 'normal' : 'none', group: 'A' },
            thresholdsStyle: { mode: isMarked(panel) ? 'line' : 'off' },
          },
        }),
      },
      overrides: [],
    },
    options: now
      ? {
          colorMode: isMarked(panel) ? 'value' : 'none',
          graphMode: 'area',
          reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
          textMode: 'auto',
        }
      : {
          legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
          tooltip: { mode: 'multi', sort: 'desc' },
        },
    targets: queries.map(({ expr, legend }, at) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + at),
      datasource,
      expr,
      legendFormat: legend,
      range: true,
    })),
  }
}

const isMarked = ({ redFrom, redTo }: Panel): boolean =>
  redFrom !== undefined || redTo !== undefined

function steps({ redFrom, redTo }: Panel): object[] {
  if (redTo !== undefined) {
    return [
      { color: 'red', value: null },
      { color: 'green', value: redTo },
    ]
  }
  const fine = { color: 'green', value: null }
  return redFrom === undefined ? [fine] : [fine, { color: 'red', value: redFrom }]
}
