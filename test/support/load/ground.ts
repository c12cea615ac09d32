import type { LoadOptions } from './options.ts'
import { type Ground, ownGround } from './run.ts'
import { pidOfPort } from './usage.ts'

/** What `--kafka` asks for, and how to end what was started for it. */
export async function groundOf(
  options: LoadOptions,
): Promise<{ ground: Ground; stop: () => Promise<void> }> {
  if (options.kafka) return onKafka()
  return { ground: ownGround, stop: async () => {} }
}

async function onKafka(): Promise<{ ground: Ground; stop: () => Promise<void> }> {
  const { startKafka } = await import('../../stack/kafka.ts')
  const started = await startKafka()
  if (started.kafka === undefined) throw new Error(`no Kafka: ${started.why}`)
  const { url, stop } = started.kafka
  const serverPids = pidsOf({ Kafka: url })
  return { ground: { env: { WINNOW_BUS: url }, isFleet: false, serverPids }, stop }
}

/** Of those servers that listen on this machine, by their addresses. */
function pidsOf(urls: Readonly<Record<string, string>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(urls).flatMap(([name, url]) => {
      const pid = pidOfPort(Number(/:(\d+)/.exec(url.slice(url.lastIndexOf(':')))?.[1]))
      return pid === undefined ? [] : [[name, pid]]
    }),
  )
}
