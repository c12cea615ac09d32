import { expect } from 'vitest'
import type { Panel, Query, Variable } from '../../deploy/grafana/board.ts'
import { boards } from '../../deploy/grafana/boards.ts'
import type { TestPrometheus } from '../stack/prometheus.ts'

export interface BoardQuery extends Query {
  /** Board, panel and series, for the name of a test. */
  readonly name: string
  readonly panel: Panel
}

/** Every query of every panel of every board. */
export const boardQueries: readonly BoardQuery[] = Object.values(boards).flatMap(
  ({ title, rows, variables = [] }) =>
    rows.flatMap(({ panels }) =>
      panels.flatMap(panel =>
        panel.queries.map(query => ({
          ...query,
          expr: withValues(query.expr, variables),
          panel,
          name: `${title}, ${panel.title}, ${query.legend}`,
        })),
      ),
    ),
)

function withValues(expr: string, variables: readonly Variable[]): string {
  return variables.reduce((text, { name, value }) => text.replaceAll(`$${name}`, value), expr)
}

/** A minute is what Grafana takes for a scrape every 15 s. */
const interval = '1m'

export const dataWaits = { timeout: 120_000, interval: 500 }

/** Waits for a series with a number, that is: a quantile of nothing is a series too. */
export async function expectData(prometheus: TestPrometheus, expr: string): Promise<void> {
  const asked = expr.replaceAll('$__rate_interval', interval)
  const count = async (): Promise<number> => {
    const samples = await prometheus.query(asked)
    return samples.filter(({ value }) => !Number.isNaN(value)).length
  }
  await expect.poll(count, { ...dataWaits, message: asked }).toBeGreaterThan(0)
}
