import type { Board } from './board.ts'
import { stores } from './stores.ts'

const lagOfRetention = 'max by (group) (winnow_bus_lag_seconds / winnow_bus_retention_seconds)'

/** Whether everything that comes in gets through, how far behind it is, and what is short. */
export const pipeline: Board = {
  uid: 'winnow-pipeline',
  title: 'Winnow: Pipeline',
  text: 'Whether everything that comes in gets through, how far behind it is, and what is short.',
  rows: [
    {
      title: 'Is anything lost?',
      panels: [
        {
          title: 'Processes up',
          text: 'Of those that Prometheus knows.',
          unit: 'percentunit',
          now: true,
          redTo: 1,
          queries: [{ expr: 'avg(up{job="winnow"})', legend: 'up' }],
        },
        {
          title: 'Lag, of retention',
          text: 'The farthest group. At 1 spans are removed before they are read; half is an alert.',
          unit: 'percentunit',
          now: true,
          redFrom: 0.5,
          queries: [{ expr: `max(${lagOfRetention})`, legend: 'farthest' }],
        },
        {
          title: 'Ledger imbalance',
          text: 'Spans received more than ten minutes ago that no decision accounts for. Anything but 0 is a fault.',
          unit: 'short',
          now: true,
          redFrom: 1,
          queries: [{ expr: 'max(winnow_ledger_imbalance_spans)', legend: 'spans' }],
        },
        {
          title: 'Lost to retention, last day',
          text: 'Removed before they were read.',
          unit: 'short',
          now: true,
          redFrom: 1,
          queries: [
            { expr: 'sum(increase(winnow_lost_to_retention_spans_total[1d]))', legend: 'spans' },
          ],
        },
        {
          title: 'Evidence unreadable, last day',
          text: 'Records that no sampler of this release can read; each is left out alone.',
          unit: 'short',
          now: true,
          redFrom: 1,
          queries: [
            { expr: 'sum(increase(winnow_evidence_malformed_total[1d]))', legend: 'records' },
          ],
        },
      ],
    },
    {
      title: 'Throughput',
      panels: [
        {
          title: 'Spans received',
          text: 'Acknowledged: on the bus, and durable.',
          unit: 'ops',
          stacked: true,
          queries: [
            {
              expr: 'sum by (tenant) (rate(winnow_spans_received_total[$__rate_interval]))',
              legend: '{{tenant}}',
            },
          ],
        },
        {
          title: 'By transport',
          text: '',
          unit: 'ops',
          queries: [
            {
              expr: 'sum by (transport) (rate(winnow_spans_received_total[$__rate_interval]))',
              legend: '{{transport}}',
            },
          ],
        },
        {
          title: 'Taken from the topics of others',
          text: 'Messages that kafkaSource names. Set aside: the log names topic, offset and reason; lost: their topic had removed them before they were read.',
          unit: 'ops',
          queries: [
            {
              expr: 'sum by (topic, result) (rate(winnow_source_messages_total[$__rate_interval]))',
              legend: '{{topic}} {{result}}',
              needs: 'kafkaSource',
            },
            {
              expr: 'max by (topic) (winnow_source_lag_messages)',
              legend: '{{topic}}, messages behind',
              needs: 'kafkaSource',
            },
          ],
        },
        {
          title: 'Open traces',
          text: 'What the assemblers hold: rate of traces times their length and assembler.quiet.',
          unit: 'short',
          queries: [
            { expr: 'sum(winnow_open_traces)', legend: 'open' },
            {
              expr: 'sum(rate(winnow_duplicate_spans_total[$__rate_interval]))',
              legend: 'duplicate spans/s',
            },
          ],
        },
        {
          title: 'Written to each tier',
          text: '',
          unit: 'Bps',
          queries: [
            {
              expr: 'sum by (tier) (rate(winnow_tier_bytes_total[$__rate_interval]))',
              legend: '{{tier}}',
            },
          ],
        },
        {
          title: 'Objects and documents written',
          text: '',
          unit: 'ops',
          queries: [
            {
              expr: 'sum by (tier) (rate(winnow_tier_objects_total[$__rate_interval]))',
              legend: '{{tier}}',
            },
          ],
        },
        {
          title: 'Decisions',
          text: '',
          unit: 'ops',
          queries: [
            {
              expr: 'sum by (instance) (rate(winnow_decisions_total[$__rate_interval]))',
              legend: '{{instance}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Lag',
      panels: [
        {
          title: 'Lag against retention',
          text: 'Age of what a group has still to read, of the age at which it is removed. A writer has the life of spans: the bodies lie there.',
          unit: 'percentunit',
          redFrom: 0.5,
          queries: [{ expr: lagOfRetention, legend: '{{group}}' }],
        },
        {
          title: 'Lag in seconds',
          text: 'writer-segments is behind by writer.segmentAge, for it commits whole segments.',
          unit: 's',
          queries: [{ expr: 'max by (group) (winnow_bus_lag_seconds)', legend: '{{group}}' }],
        },
        {
          title: 'Lag in records',
          text: '',
          unit: 'short',
          queries: [{ expr: 'max by (group) (winnow_bus_lag_records)', legend: '{{group}}' }],
        },
      ],
    },
    {
      title: 'Saturation',
      panels: [
        {
          title: 'CPU of each process',
          text: 'Cores. One stage is one thread and what libuv does for it.',
          unit: 'short',
          queries: [
            {
              expr: 'sum by (instance) (rate(process_cpu_seconds_total{job="winnow"}[$__rate_interval]))',
              legend: '{{instance}}',
            },
          ],
        },
        {
          title: 'Event loop delay, p99',
          text: 'Of the main thread. Over 60 ms for long: it has more to do than it can.',
          unit: 's',
          redFrom: 0.06,
          queries: [
            {
              expr: 'max by (instance) (nodejs_eventloop_lag_p99_seconds{job="winnow"})',
              legend: '{{instance}}',
            },
          ],
        },
        {
          title: 'Memory',
          text: 'Resident.',
          unit: 'bytes',
          queries: [
            {
              expr: 'sum by (instance) (process_resident_memory_bytes{job="winnow"})',
              legend: '{{instance}}',
            },
          ],
        },
        {
          title: 'Admission pressure',
          text: 'From 0.5 on who takes more than its share is refused, at 1 everybody. Lag counts in one process alone: on Kafka it is allowed.',
          unit: 'percentunit',
          redFrom: 0.5,
          queries: [
            {
              expr: 'max by (instance) (winnow_receiver_inflight_bytes / winnow_receiver_inflight_bytes_max)',
              legend: 'bytes in flight, {{instance}}',
            },
            {
              expr: 'max by (by, instance) (winnow_admission_pressure)',
              legend: '{{by}}, {{instance}}',
              needs: 'one process',
            },
          ],
        },
        {
          title: 'Disk of the data folder, used',
          text: 'Over 1 less file.freeMin the receiver answers 503.',
          unit: 'percentunit',
          redFrom: 0.85,
          queries: [
            {
              expr: '1 - winnow_disk_free_bytes / winnow_disk_size_bytes',
              legend: '{{instance}}',
              needs: 'one process',
            },
          ],
        },
        {
          title: 'Objects expired',
          text: 'Deleted because the life of their tier had ended.',
          unit: 'ops',
          queries: [
            {
              expr: 'sum by (tier) (rate(winnow_tier_expired_objects_total[$__rate_interval]))',
              legend: '{{tier}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Errors by stage',
      panels: [
        {
          title: 'Problems by stage',
          text: 'Warnings and errors that a stage had to log; the log has one line a kind and minute.',
          unit: 'ops',
          queries: [
            {
              expr: 'sum by (stage, level) (rate(winnow_problems_total[$__rate_interval]))',
              legend: '{{stage}}, {{level}}',
            },
          ],
        },
        {
          title: 'Spans refused',
          text: 'One by one, beside what was taken of their request; the client is told which and why.',
          unit: 'ops',
          queries: [
            {
              expr: 'sum by (reason) (rate(winnow_spans_rejected_total[$__rate_interval]))',
              legend: '{{reason}}',
            },
          ],
        },
        {
          title: 'Requests refused',
          text: 'As a whole; unavailable and quota ask the client to come again.',
          unit: 'ops',
          queries: [
            {
              expr: 'sum by (reason) (rate(winnow_requests_refused_total[$__rate_interval]))',
              legend: '{{reason}}',
            },
          ],
        },
      ],
    },
    ...stores,
  ],
}
