import type { KafkaSourceConfig } from '@winnow/receiver'

interface Checked {
  readonly bus: string
  readonly keys?: unknown
  readonly keysFile?: unknown
  readonly topics: { readonly prefix: string }
  readonly kafkaSource: KafkaSourceConfig
}

interface Mistake {
  readonly path: string[]
  readonly message: string
}

/** What `kafkaSource` cannot be beside the rest of the configuration. */
export function sourceMistakes({ bus, keys, keysFile, topics, kafkaSource }: Checked): Mistake[] {
  const { brokers, tenant, tenantHeader } = kafkaSource
  if (kafkaSource.topics.length === 0) return []
  const mistakes: Mistake[] = []
  const add = (key: string, message: string): void => {
    mistakes.push({ path: ['kafkaSource', key], message })
  }
  if (bus === 'file' && brokers === undefined) {
    add('brokers', 'bus is file, so name the brokers of the topics: HOST:PORT[,HOST:PORT…]')
  }
  const own = kafkaSource.topics.find(topic => topic.startsWith(`${topics.prefix}.`))
  if (own !== undefined) {
    add(
      'topics',
      `${own} has the prefix of the pipeline's own topics: what is taken from it would come again and again`,
    )
  }
  if (new Set(kafkaSource.topics).size < kafkaSource.topics.length) {
    add('topics', 'names a topic twice: one group would be two members of itself')
  }
  const hasKeys = keys !== undefined || keysFile !== undefined
  if (hasKeys && tenant === undefined && tenantHeader === undefined) {
    add(
      'tenant',
      'with keys every span has a tenant: name the one of these topics, or tenantHeader',
    )
  }
  return mistakes
}
