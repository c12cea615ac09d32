/**
 * Sum of a metric of the process whose metrics lie at `address`; `name` may go on with a label, as
 * `winnow_bus_lag_records{group="sampler"`. 0 where the metric, or the process, is not there.
 */
export async function metricSum(address: string, name: string): Promise<number> {
  const answer = await fetch(`http://${address}/metrics`).catch(() => undefined)
  const text = (await answer?.text().catch(() => '')) ?? ''
  if (answer?.ok === false) throw new Error(`/metrics answers ${answer.status}: ${text}`)
  let sum = 0
  for (const line of text.split('\n')) {
    if (!line.startsWith(name)) continue
    const rest = line.slice(name.length)
    if (/^[{ }]/.test(rest) || name.endsWith('}')) sum += Number(line.slice(line.lastIndexOf(' ')))
  }
  return sum
}
