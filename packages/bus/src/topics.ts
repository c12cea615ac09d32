/**
 * The pipeline on one screen, in flow order. Every topic has the same number of partitions and is
 * partitioned by trace id, so all that is known of a trace meets in one partition number.
 *
 *   receiver ─▶ spans ─▶ assembler ─▶ evidence ─▶ sampler ─▶ decisions ─▶ writer ─▶ stores ─▶ query
 *      └──── evaluations ────────────────▲   ▲──── rescue requests ──────────────────────────┘
 */
export const topics = {
  spans: {
    writers: ['receiver'],
    readers: ['assembler', 'writer'],
    retentionMs: 24 * 3_600_000,
    keyed: false,
  },
  evidence: {
    writers: ['assembler', 'receiver', 'query'],
    readers: ['sampler'],
    retentionMs: 24 * 3_600_000,
    keyed: false,
  },
  decisions: {
    writers: ['sampler'],
    readers: ['sampler', 'writer', 'query'],
    retentionMs: 96 * 3_600_000,
    keyed: false,
  },
  baselines: { writers: ['sampler'], readers: ['sampler'], retentionMs: 0, keyed: true },
  control: {
    writers: ['query', 'sampler'],
    readers: ['receiver', 'assembler', 'sampler', 'writer', 'query'],
    retentionMs: 0,
    keyed: true,
  },
} as const

export type TopicName = keyof typeof topics

/** What an adapter is told about a topic when it is made. Names are final: `winnow.spans.1`. */
export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  /** How long a record stays readable; 0 keeps the last record of every key instead. */
  readonly retentionMs: number
  readonly keyed: boolean
}

/** Every topic of a pipeline, under its full name `<prefix>.<name>.<generation>`. */
export function topicSpecs(options: {
  readonly prefix: string
  readonly generation: number
  readonly partitions: number
  /** Replaces the table's retention, by short name. */
  readonly retentionMs?: Partial<Record<TopicName, number>>
}): Readonly<Record<TopicName, TopicSpec>> {
  const specs = Object.entries(topics).map(([short, topic]) => [
    short,
    {
      name: `${options.prefix}.${short}.${options.generation}`,
      partitions: options.partitions,
      retentionMs: topic.keyed
        ? 0
        : (options.retentionMs?.[short as TopicName] ?? topic.retentionMs),
      keyed: topic.keyed,
    },
  ])
  return Object.fromEntries(specs) as Record<TopicName, TopicSpec>
}
