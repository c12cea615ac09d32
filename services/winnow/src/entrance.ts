import {
  type ApiKeys,
  type Clock,
  KeyRing,
  type Log,
  type Metrics,
  type ServerTls,
  TlsFiles,
} from '@winnow/runtime'
import type { Config } from './program-config.ts'

/** What guards the listeners of one thread: the keys and the certificate in force, reloaded as they change. */
export interface Entrance {
  /** Undefined: everybody is the default tenant. */
  readonly keys: ApiKeys | undefined
  /** Undefined: plain text. */
  readonly tls: ServerTls | undefined
  close(): void
}

/**
 * CONFIG_INVALID names the key, the file and the remedy. `metrics` is absent where another thread of this
 * process reads the same files and says so.
 */
export function openEntrance(
  config: Pick<Config, 'keys' | 'keysFile' | 'tls'>,
  parts: { readonly clock: Clock; readonly log: Log; readonly metrics?: Metrics },
): Entrance {
  const { keys, keysFile, tls } = config
  const ring = KeyRing.open({
    ...parts,
    ...(keys !== undefined && { keys }),
    ...(keysFile !== undefined && { keysFile }),
  })
  const files = TlsFiles.open({ ...parts, tls })
  return {
    keys: ring,
    tls: files,
    close: () => {
      ring?.close()
      files?.close()
    },
  }
}
