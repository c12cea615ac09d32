import type { Board } from './board.ts'

/** What the stages ask of Redis, OpenSearch and S3, and how they are answered. */
export const stores: Board['rows'] = [
  {
    title: 'Redis: the trace buffer',
    panels: [
      {
        title: 'Trace buffer up',
        text: 'As each process sees it. While it is down everything is read from the bus: slower, nothing else.',
        unit: 'short',
        redTo: 1,
        queries: [
          {
            expr: 'min by (stage) (winnow_trace_buffer_up)',
            legend: '{{stage}}',
            needs: 'redis',
          },
        ],
      },
      {
        title: 'Hit rate',
        text: 'Of the slices that the writer asks for. A miss is a read of the bus: too little memory, or too short a life, for the time until a decision is written.',
        unit: 'percentunit',
        queries: [
          {
            expr: 'sum(rate(winnow_trace_buffer_reads_total{result="hit"}[$__rate_interval])) / (sum(rate(winnow_trace_buffer_reads_total[$__rate_interval])) > 0)',
            legend: 'hits',
            needs: 'redis',
          },
        ],
      },
      {
        title: 'Written and read',
        text: '',
        unit: 'Bps',
        queries: [
          {
            expr: 'sum by (kind) (rate(winnow_trace_buffer_put_bytes_total[$__rate_interval]))',
            legend: 'written, {{kind}}',
            needs: 'redis',
          },
          {
            expr: 'sum(rate(winnow_trace_buffer_read_bytes_total[$__rate_interval]))',
            legend: 'read',
            needs: 'redis',
          },
        ],
      },
      {
        title: 'Time of a read',
        text: 'Of many slices at once, or of a checkpoint.',
        unit: 's',
        queries: [0.5, 0.99].map(quantile => ({
          expr: `histogram_quantile(${quantile}, sum by (le) (rate(winnow_trace_buffer_read_seconds_bucket[$__rate_interval])))`,
          legend: `p${quantile * 100}`,
          needs: 'redis',
        })),
      },
      {
        title: 'Checkpoints',
        text: 'Of the assembler’s open traces: written every 5 s, used at a start; too_large and others are left out, and the next start replays more.',
        unit: 'ops',
        queries: [
          {
            expr: 'sum by (result) (rate(winnow_checkpoints_total[$__rate_interval]))',
            legend: '{{result}}',
            needs: 'redis',
          },
        ],
      },
    ],
  },
  {
    title: 'OpenSearch: the hot store',
    panels: [
      {
        title: 'Documents by answer',
        text: 'busy and held are sent again; rejected ones are set aside, and the log names field and reason.',
        unit: 'ops',
        stacked: true,
        queries: [
          {
            expr: 'sum by (result) (rate(winnow_hot_store_bulk_items_total[$__rate_interval]))',
            legend: '{{result}}',
            needs: 'opensearch',
          },
        ],
      },
      {
        title: 'Bytes in flight',
        text: 'Of bulk requests that have not been answered: at its limit all the time, the cluster is the bound.',
        unit: 'bytes',
        queries: [
          {
            expr: 'sum by (instance) (winnow_hot_store_in_flight_bytes)',
            legend: '{{instance}}',
            needs: 'opensearch',
          },
        ],
      },
      {
        title: 'Behind',
        text: 'Age of what cannot be found yet.',
        unit: 's',
        redFrom: 600,
        queries: [
          {
            expr: 'max(winnow_bus_lag_seconds{group="writer-hot"})',
            legend: 'writer-hot',
          },
        ],
      },
    ],
  },
  {
    title: 'S3: segments, snapshots, indexes',
    panels: [
      {
        title: 'Requests by operation',
        text: 'What a bill counts. Puts grow with partitions and tiers over writer.segmentAge, not with traces.',
        unit: 'ops',
        queries: [
          {
            expr: 'sum by (operation) (rate(winnow_blob_requests_total[$__rate_interval]))',
            legend: '{{operation}}',
            needs: 's3',
          },
        ],
      },
      {
        title: 'Requests by how they ended',
        text: '',
        unit: 'ops',
        queries: [
          {
            expr: 'sum by (result) (rate(winnow_blob_requests_total[$__rate_interval]))',
            legend: '{{result}}',
            needs: 's3',
          },
        ],
      },
      {
        title: 'Bytes by tier',
        text: '',
        unit: 'Bps',
        queries: [
          {
            expr: 'sum by (operation, tier) (rate(winnow_blob_bytes_total[$__rate_interval]))',
            legend: '{{operation}}, {{tier}}',
            needs: 's3',
          },
        ],
      },
    ],
  },
]
