/** Why a value is not in the buffer: `reason` of `winnow_trace_buffer_left_out_total`. */
export type LeftOut =
  /** The server does not answer, or did not in time. */
  | 'down'
  /** The values that this process has there are at `redis.bytesMax`. */
  | 'budget'
  /** More bytes are on their way than may be. */
  | 'busy'
  | 'too_large'
  /** The server is at its `maxmemory`. */
  | 'full'
  /** The server answers, and will not: no right, a replica, another node's key. */
  | 'refused'

/** What an operator is told: in one line, without a secret. */
export interface RedisTrouble {
  readonly leftOut: LeftOut
  readonly reason: string
  readonly remedy: string
}

const see = 'see whether a Redis answers at the address of buffer, with TLS where redis.tls is true'

/** By how the message or the code of an error begins, the first that fits. */
const troubles: readonly (readonly [RegExp, LeftOut, string])[] = [
  [/entinel/, 'down', 'see whether sentinels answer at the addresses of buffer and know its NAME'],
  [/^OOM/, 'full', 'give Redis more maxmemory, or lower redis.bytesMax or redis.recordLife'],
  [/^(WRONGPASS|NOAUTH|ERR.*AUTH)/, 'refused', 'check redis.username and redis.password'],
  [/^NOPERM/, 'refused', 'allow the user of redis.username: +set +get +getrange +info ~winnow:*'],
  [
    /^READONLY/,
    'refused',
    'buffer names a replica: name the primary, or use redis+sentinel://HOST:PORT/NAME',
  ],
  [/^(MOVED|ASK|CROSSSLOT)/, 'refused', 'that is a cluster: use redis+cluster://HOST:PORT'],
  [/cluster support disabled/, 'refused', 'that is no cluster: use redis://HOST:PORT'],
  [/^MISCONF/, 'refused', 'Redis cannot save to its disk; the buffer needs no persistence'],
  [/^(LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY)/, 'down', 'Redis says that it will be ready'],
  [
    /expired/,
    'down',
    'have the certificate of the Redis at buffer renewed, or that of redis.certFile',
  ],
  [
    /certificate|PEM routines|^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_TLS)/i,
    'down',
    'check redis.caFile, redis.certFile, redis.keyFile and the host name of buffer',
  ],
  [
    /SSL routines|RESP|EPROTO|^ERR_SSL/,
    'down',
    'no Redis speaks there, or one with TLS where redis.tls says none, or the other way round',
  ],
]

export function redisTrouble(error: unknown): RedisTrouble {
  const cause = causeOf(error)
  const code = (cause as { readonly code?: unknown }).code
  const reason = cause.message === '' && typeof code === 'string' ? code : cause.message
  const found = troubles.find(([begins]) => begins.test(reason) || begins.test(`${code}`))
  return { leftOut: found?.[1] ?? 'down', reason, remedy: found?.[2] ?? see }
}

/** A cluster that cannot be asked says so, and not why: that its last node's error knows. */
function causeOf(error: unknown): Error {
  const last = (error as { readonly lastNodeError?: unknown } | undefined)?.lastNodeError
  if (last instanceof Error) return last
  return error instanceof Error ? error : new Error(String(error))
}
