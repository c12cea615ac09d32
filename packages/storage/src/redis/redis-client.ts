import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis'
import { loadIoredis } from './load-ioredis.ts'
import type { RedisAddress } from './redis-address.ts'
import type { RedisLimits } from './redis-limits.ts'

/** Texts in PEM; with none the machine's own authorities are trusted. */
export interface RedisTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface RedisAccess {
  readonly username?: string
  readonly password?: string
  readonly sentinelUsername?: string
  readonly sentinelPassword?: string
  readonly tls?: RedisTls
  /** Shown by Redis in `CLIENT LIST`. */
  readonly clientName?: string
}

export type RedisClient = Redis | Cluster

/**
 * A client that is not connected yet. It never holds a command back for later: what cannot be written
 * now fails now, and what was written when a connection ended has failed.
 */
export async function redisClient(
  address: RedisAddress,
  access: RedisAccess,
  limits: RedisLimits,
): Promise<RedisClient> {
  const { Cluster: ClusterClient, Redis: SingleClient } = await loadIoredis()
  const options = { ...connectionOptions(access, limits), enableOfflineQueue: false }
  const retryStrategy = (times: number): number => retryWaitMs(times, limits)
  switch (address.kind) {
    case 'single':
      return new SingleClient({ ...options, ...address.node, retryStrategy })
    case 'sentinel':
      return new SingleClient({
        ...options,
        ...sentinelOptions(address, access, limits),
        retryStrategy,
      })
    case 'cluster':
      return new ClusterClient([...address.nodes], clusterOptions(access, limits))
  }
}

function connectionOptions(access: RedisAccess, limits: RedisLimits) {
  const { username, password, tls, clientName } = access
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls !== undefined && { tls: { ...tls } }),
    ...(clientName !== undefined && { connectionName: clientName }),
    lazyConnect: true,
    connectTimeout: limits.connectWaitMs,
    // A server that hangs does not close its side either.
    disconnectTimeout: 200,
    // Also what ends a handshake with a server that hangs: to connect again is the probe that costs nobody.
    socketTimeout: limits.silenceMs,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // A primary that became a replica; who connects again is told of the new one.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  } satisfies RedisOptions
}

function sentinelOptions(
  { nodes, name }: RedisAddress & { readonly kind: 'sentinel' },
  { sentinelUsername, sentinelPassword, tls }: RedisAccess,
  limits: RedisLimits,
) {
  return {
    sentinels: [...nodes],
    name,
    ...(sentinelUsername !== undefined && { sentinelUsername }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(tls !== undefined && { enableTLSForSentinelMode: true, sentinelTLS: { ...tls } }),
    sentinelCommandTimeout: limits.connectWaitMs,
    sentinelRetryStrategy: (times: number) => retryWaitMs(times, limits),
  } satisfies RedisOptions
}

function clusterOptions(access: RedisAccess, limits: RedisLimits) {
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    redisOptions: connectionOptions(access, limits),
    clusterRetryStrategy: (times: number) => retryWaitMs(times, limits),
    // A slot that moved is followed; one that nobody serves is the caller's miss.
    maxRedirections: 4,
    slotsRefreshTimeout: limits.connectWaitMs,
    slotsRefreshInterval: limits.silenceMs,
    // A certificate is for a name, so the name must not become an address before it is compared.
    ...(access.tls !== undefined && { dnsLookup: keepName }),
  } satisfies ClusterOptions
}

const keepName: NonNullable<ClusterOptions['dnsLookup']> = (host, found) => found(null, host)

function retryWaitMs(times: number, { reconnect }: RedisLimits): number {
  return Math.min(reconnect.minMs * 2 ** Math.min(times - 1, 10), reconnect.maxMs)
}
