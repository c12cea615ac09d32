import type { Board } from './board.ts'

const decided = 'sum(rate(winnow_traces_decided_total[$__rate_interval]))'

/** Whether what should be kept is kept, why, and how soon that was known. */
export const sampling: Board = {
  uid: 'winnow-sampling',
  title: 'Winnow: Sampling',
  text: 'Whether what should be kept is kept, by which rule, and how soon that is known.',
  rows: [
    {
      title: 'Does it keep what matters?',
      panels: [
        {
          title: 'Full-resolution traces per error',
          text: 'Of the traces that show a failure, how many can be opened whole; last hour. Below 1 failures are lost: they came after their bytes had left the bus, or a rule asks for less than all.',
          unit: 'percentunit',
          now: true,
          redTo: 0.99,
          queries: [
            {
              expr: 'avg by (tenant) (winnow_full_resolution_traces_per_error)',
              legend: '{{tenant}}',
            },
          ],
        },
        {
          title: 'Kept',
          text: 'Of the traces that are decided.',
          unit: 'percentunit',
          now: true,
          queries: [
            {
              expr: `sum(rate(winnow_traces_kept_total[$__rate_interval])) / (${decided} > 0)`,
              legend: 'kept',
            },
          ],
        },
        {
          title: 'Must-keep share',
          text: 'Of the traces that are decided, those that a rule keeps without a draw. Three times its week is an alert: either something has broken, or a rule matches what it should not.',
          unit: 'percentunit',
          now: true,
          queries: [
            {
              expr: `sum(rate(winnow_traces_kept_total{by="rule"}[$__rate_interval])) / (${decided} > 0)`,
              legend: 'must keep',
            },
          ],
        },
        {
          title: 'Decision after the last span, p99',
          text: 'assembler.quiet and a little, while the stages are in step.',
          unit: 's',
          now: true,
          queries: [
            {
              expr: 'histogram_quantile(0.99, sum by (le) (rate(winnow_decision_delay_seconds_bucket[$__rate_interval])))',
              legend: 'p99',
            },
          ],
        },
        {
          title: 'Evaluations missed, last hour',
          text: 'They came after their trace had gone, or found no room to wait for it.',
          unit: 'short',
          now: true,
          redFrom: 1,
          queries: [
            {
              expr: 'sum(increase(winnow_evaluations_total{result="missed"}[1h]))',
              legend: 'missed',
            },
          ],
        },
        {
          title: 'Rescued, last hour',
          text: 'Drops that became keeps because an outcome, a span or a person came later.',
          unit: 'short',
          now: true,
          queries: [{ expr: 'sum(increase(winnow_rescued_total[1h]))', legend: 'rescued' }],
        },
      ],
    },
    {
      title: 'Kept ratio',
      panels: [
        {
          title: 'Kept ratio by rule',
          text: 'Of all decided traces, by the first rule that matched. They add up to what is kept.',
          unit: 'percentunit',
          stacked: true,
          queries: [
            {
              expr: `sum by (rule) (rate(winnow_traces_kept_total[$__rate_interval])) / ignoring(rule) group_left() (${decided} > 0)`,
              legend: '{{rule}}',
            },
          ],
        },
        {
          title: 'Kept ratio by tenant',
          text: 'Last hour.',
          unit: 'percentunit',
          queries: [{ expr: 'avg by (tenant) (winnow_kept_ratio)', legend: '{{tenant}}' }],
        },
        {
          title: 'Kept ratio by service',
          text: 'By the service of the root. A service whose ratio rises alone has a problem of its own.',
          unit: 'percentunit',
          queries: [
            {
              expr: 'sum by (service) (rate(winnow_traces_kept_total[$__rate_interval])) / (sum by (service) (rate(winnow_traces_decided_total[$__rate_interval])) > 0)',
              legend: '{{service}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Rules and experiments',
      panels: [
        {
          title: 'Matches by rule',
          text: 'Traces a second that a rule matches, first or not: one trace may match many. The catch-all matches all and is left out.',
          unit: 'ops',
          queries: [
            {
              expr: 'sum by (rule) (rate(winnow_rule_matches_total[$__rate_interval]))',
              legend: '{{rule}}',
            },
          ],
        },
        {
          title: 'Share of each variant',
          text: 'Of all decided traces. Active: the policy watches it now.',
          unit: 'percentunit',
          queries: [
            {
              expr: `sum by (variant, active) (rate(winnow_variant_traces_decided_total[$__rate_interval])) / ignoring(variant, active) group_left() (${decided} > 0)`,
              legend: '{{variant}}, active {{active}}',
            },
          ],
        },
        {
          title: 'Active variants: kept',
          text: 'All of them, until the day’s cap is reached.',
          unit: 'percentunit',
          queries: [
            {
              expr: 'sum by (variant) (rate(winnow_variant_traces_kept_total{active="true"}[$__rate_interval])) / (sum by (variant) (rate(winnow_variant_traces_decided_total{active="true"}[$__rate_interval])) > 0)',
              legend: '{{variant}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Decisions',
      panels: [
        {
          title: 'Decisions',
          text: 'Revisions included: a trace is decided again when more of it comes.',
          unit: 'ops',
          stacked: true,
          queries: [
            {
              expr: 'sum by (verdict) (rate(winnow_decisions_total[$__rate_interval]))',
              legend: '{{verdict}}',
            },
          ],
        },
        {
          title: 'Decision after the last span',
          text: 'From the append of a trace’s last span to its decision.',
          unit: 's',
          queries: [0.5, 0.95, 0.99].map(quantile => ({
            expr: `histogram_quantile(${quantile}, sum by (le) (rate(winnow_decision_delay_seconds_bucket[$__rate_interval])))`,
            legend: `p${quantile * 100}`,
          })),
        },
        {
          title: 'Traces closed, by reason',
          text: 'root: whole. Many rootless or openMax: exporters lose roots, or send late.',
          unit: 'ops',
          stacked: true,
          queries: [
            {
              expr: 'sum by (reason) (rate(winnow_traces_closed_total[$__rate_interval]))',
              legend: '{{reason}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Outcomes that come later',
      panels: [
        {
          title: 'Evaluations by what they did',
          text: 'awaiting: its trace has not come yet. missed: it never will.',
          unit: 'ops',
          stacked: true,
          queries: [
            {
              expr: 'sum by (result) (rate(winnow_evaluations_total[$__rate_interval]))',
              legend: '{{result}}',
            },
          ],
        },
        {
          title: 'Rescues by cause',
          text: 'What turned a drop into a keep.',
          unit: 'ops',
          queries: [
            {
              expr: 'sum by (cause) (rate(winnow_rescued_total[$__rate_interval]))',
              legend: '{{cause}}',
            },
          ],
        },
        {
          title: 'Evaluations by name',
          text: 'An evaluator that has fallen silent shows here.',
          unit: 'ops',
          queries: [
            {
              expr: 'sum by (name) (rate(winnow_evaluations_total[$__rate_interval]))',
              legend: '{{name}}',
            },
          ],
        },
      ],
    },
  ],
}
