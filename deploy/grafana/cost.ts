import { type CostPrices, costPricesSchema } from '@winnow/cost'
import type { Board, Panel, Variable } from './board.ts'

const prices: CostPrices = costPricesSchema.parse({})

/** How long each tier keeps what it has, as the writer does where its configuration says nothing. */
const tiers = { hot: 7, warm: 30, cold: 365, ledger: 365 } as const
type Tier = keyof typeof tiers

const variables: readonly Variable[] = (Object.keys(tiers) as Tier[]).flatMap(tier => [
  { name: `${tier}GbMonth`, label: `${tier}, $ a GB-month`, value: String(prices[tier].gbMonth) },
  { name: `${tier}Days`, label: `${tier}, days`, value: String(tiers[tier]) },
])

const bytesPerDay = (tier: Tier): string =>
  `sum(rate(winnow_tier_bytes_total{tier="${tier}"}[$__rate_interval])) * 86400`

const monthOf = (tier: Tier): Panel => ({
  title: `A month of ${tier}`,
  text: `Once it is full, at the rate of now: bytes a day × $${tier}Days days × the price of a GB-month. Copies, smallest sizes and requests come to it: winnow cost has a line for each.`,
  unit: 'currencyUSD',
  now: true,
  queries: [{ expr: `${bytesPerDay(tier)} * $${tier}Days * $${tier}GbMonth / 1e9`, legend: tier }],
})

/** What the tiers take in, by whom, and what a month of it costs. */
export const cost: Board = {
  uid: 'winnow-cost',
  title: 'Winnow: Cost',
  text: 'What is written to each tier, which rule has it written, and what a month of it costs at the prices above. winnow cost measures what is stored, by the stores’ own listings.',
  variables,
  rows: [
    {
      title: 'What does a month cost at this rate?',
      panels: (Object.keys(tiers) as Tier[]).map(monthOf),
    },
    {
      title: 'Where does it come from?',
      panels: [
        {
          title: 'Bytes a day by tier',
          text: 'Of hot the text of kept spans as it was sent, of the others the objects as they are stored.',
          unit: 'decbytes',
          stacked: true,
          queries: [
            {
              expr: 'sum by (tier) (rate(winnow_tier_bytes_total[$__rate_interval])) * 86400',
              legend: '{{tier}}',
            },
          ],
        },
        {
          title: 'Kept bytes a day by rule',
          text: 'Of kept spans as they were sent, by the primary rule of their trace: hot, warm and cold follow it. A rule that grows is looked at with winnow cost --by rule, and another policy is tried with winnow backtest.',
          unit: 'decbytes',
          stacked: true,
          queries: [
            {
              expr: 'sum by (rule) (rate(winnow_kept_bytes_total[$__rate_interval])) * 86400',
              legend: '{{rule}}',
            },
          ],
        },
        {
          title: 'Kept bytes a trace by rule',
          text: 'A rule that keeps few traces may still keep the largest.',
          unit: 'decbytes',
          queries: [
            {
              expr: 'sum by (rule) (rate(winnow_kept_bytes_total[$__rate_interval])) / (sum by (rule) (rate(winnow_traces_kept_total[$__rate_interval])) > 0)',
              legend: '{{rule}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Objects and requests',
      panels: [
        {
          title: 'Objects a day',
          text: 'They grow with partitions over writer.segmentAge, not with traces: an object for each trace would cost many times as much.',
          unit: 'short',
          stacked: true,
          queries: [
            {
              expr: 'sum by (tier) (rate(winnow_tier_objects_total{tier!="hot"}[$__rate_interval])) * 86400',
              legend: '{{tier}}',
            },
          ],
        },
        {
          title: 'Bytes an object',
          text: 'Infrequent access and archive classes bill an object as 128 KiB at least: below that a longer writer.segmentAge, or fewer partitions, costs less.',
          unit: 'bytes',
          queries: [
            {
              expr: 'sum by (tier) (rate(winnow_tier_bytes_total{tier!="hot"}[$__rate_interval])) / (sum by (tier) (rate(winnow_tier_objects_total{tier!="hot"}[$__rate_interval])) > 0)',
              legend: '{{tier}}',
            },
          ],
        },
        {
          title: 'Requests a day',
          text: 'To the object store, those sent again too.',
          unit: 'short',
          stacked: true,
          queries: [
            {
              expr: 'sum by (operation) (rate(winnow_blob_requests_total[$__rate_interval])) * 86400',
              legend: '{{operation}}',
              needs: 's3',
            },
          ],
        },
      ],
    },
  ],
}
