import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { z } from 'zod'
import type { Clock } from './clock.ts'
import { PipelineError } from './errors.ts'
import { FileWatch } from './file-watch.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/** Largest PEM file: a chain, a key, or the authorities of clients. */
export const pemBytesMax = 1024 * 1024

/** `tls:` of the configuration; without `certFile` the listeners speak plain text. */
export const tlsConfigSchema = z
  .strictObject({
    /** PEM: the listeners' certificate, then those between it and its authority. */
    certFile: z.string().min(1).optional(),
    /** PEM, without a passphrase. */
    keyFile: z.string().min(1).optional(),
    /** PEM: with it a client needs a certificate of one of these authorities; for `metrics` nobody does. */
    clientCaFile: z.string().min(1).optional(),
    minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.2'),
  })
  .refine(({ certFile, keyFile }) => (certFile === undefined) === (keyFile === undefined), {
    error: 'give certFile and keyFile together',
  })
  .refine(({ certFile, clientCaFile }) => certFile !== undefined || clientCaFile === undefined, {
    path: ['clientCaFile'],
    error: 'needs certFile and keyFile beside it',
  })
  .prefault({})

export type TlsConfig = z.infer<typeof tlsConfigSchema>

/** What a listener needs of TLS. */
export interface ServerTls {
  readonly context: SecureContextOptions
  /** Clients need a certificate. */
  readonly asksClients: boolean
  /** `renewed` is called after `context` has become another; the answer takes it back. */
  onRenewed(renewed: () => void): () => void
}

export interface TlsFilesOptions {
  readonly tls: TlsConfig
  readonly clock: Clock
  readonly log: Log
  /** Absent where another one of this process says when the certificate runs out. */
  readonly metrics?: Metrics
}

interface Paths {
  readonly certFile: string
  readonly keyFile: string
  readonly clientCaFile: string | undefined
}

interface Loaded {
  readonly context: SecureContextOptions
  readonly expiresAtMs: number
}

/**
 * The certificate and key of the listeners, read again when one of the files changes. What cannot be used
 * then - unreadable, no pair, run out - leaves the last good ones in force, and is logged. So it does not
 * matter in which order a renewal writes its two files.
 */
export class TlsFiles implements ServerTls {
  readonly #options: TlsFilesOptions
  readonly #paths: Paths
  readonly #watch: FileWatch
  readonly #listeners = new Set<() => void>()
  #loaded: Loaded

  /** Undefined where no certificate is configured. CONFIG_INVALID with key, path and remedy. */
  static open(options: TlsFilesOptions): TlsFiles | undefined {
    const { certFile, keyFile, clientCaFile } = options.tls
    if (certFile === undefined || keyFile === undefined) return undefined
    return new TlsFiles(options, { certFile, keyFile, clientCaFile })
  }

  private constructor(options: TlsFilesOptions, paths: Paths) {
    this.#options = options
    this.#paths = paths
    const { certFile, keyFile, clientCaFile } = paths
    const files = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])]
    this.#watch = new FileWatch(files, () => this.#reload())
    try {
      this.#loaded = this.#load()
    } catch (error) {
      this.#watch.close()
      throw error
    }
    this.#measure()
  }

  get context(): SecureContextOptions {
    return this.#loaded.context
  }

  get asksClients(): boolean {
    return this.#paths.clientCaFile !== undefined
  }

  onRenewed(renewed: () => void): () => void {
    this.#listeners.add(renewed)
    return () => this.#listeners.delete(renewed)
  }

  /** Looks at the files now. */
  poll(): Promise<void> {
    return this.#watch.poll()
  }

  close(): void {
    this.#watch.close()
  }

  #reload(): void {
    const { log, metrics } = this.#options
    try {
      this.#loaded = this.#load()
      for (const renewed of this.#listeners) renewed()
      this.#measure()
      metrics?.reloads.inc({ what: 'certificate', result: 'applied' })
      log.info('tls.reloaded', { file: this.#paths.certFile, expires: this.#expires })
    } catch (error) {
      metrics?.reloads.inc({ what: 'certificate', result: 'refused' })
      log.error('tls.reload_refused', error, { inForceUntil: this.#expires })
    }
  }

  #load(): Loaded {
    const { clock, tls } = this.#options
    return load(this.#paths, tls.minVersion, clock.nowMs())
  }

  get #expires(): string {
    return new Date(this.#loaded.expiresAtMs).toISOString()
  }

  #measure(): void {
    const seconds = this.#loaded.expiresAtMs / 1000
    this.#options.metrics?.tlsCertificateExpires.set({ file: 'tls.certFile' }, seconds)
  }
}

function load(
  { certFile, keyFile, clientCaFile }: Paths,
  minVersion: TlsConfig['minVersion'],
  nowMs: number,
): Loaded {
  const cert = readPem('certFile', certFile)
  const key = readPem('keyFile', keyFile)
  const ca = clientCaFile === undefined ? undefined : readPem('clientCaFile', clientCaFile)
  const leaf = parsed('certFile', certFile, 'a certificate', () => new X509Certificate(cert))
  if (ca !== undefined) {
    parsed('clientCaFile', clientCaFile ?? '', 'a certificate', () => new X509Certificate(ca))
  }
  const expiresAtMs = leaf.validToDate.getTime()
  if (expiresAtMs <= nowMs) {
    throw mistake('certFile', certFile, `expired at ${leaf.validToDate.toISOString()}; renew it`)
  }
  if (leaf.validFromDate.getTime() > nowMs) {
    const from = leaf.validFromDate.toISOString()
    throw mistake('certFile', certFile, `is valid from ${from}; check the clock of this machine`)
  }
  const what = 'a private key without a passphrase'
  const secret = parsed('keyFile', keyFile, what, () => createPrivateKey(key))
  if (!leaf.checkPrivateKey(secret)) {
    throw mistake('keyFile', keyFile, `is not the key of tls.certFile ${certFile}; name its own`)
  }
  const context = { cert, key, minVersion, ...(ca !== undefined && { ca }) }
  parsed('certFile', certFile, 'a chain that TLS takes', () => createSecureContext(context))
  return { context, expiresAtMs }
}

function readPem(key: keyof TlsConfig, path: string): Buffer {
  try {
    const { size } = statSync(path)
    if (size <= pemBytesMax) return readFileSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw mistake(key, path, `cannot be read (${code}); name a PEM file that this process may read`)
  }
  throw mistake(key, path, `has more than ${pemBytesMax} bytes; name a PEM file`)
}

function parsed<T>(key: keyof TlsConfig, path: string, what: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    // The parser's code and no more: its words could hold what stands in the file.
    const code = (error as { code?: unknown }).code
    throw mistake(key, path, `is not ${what} in PEM${code === undefined ? '' : ` (${code})`}`)
  }
}

function mistake(key: keyof TlsConfig, path: string, what: string): PipelineError {
  return new PipelineError('CONFIG_INVALID', `tls.${key} ${path} ${what}`)
}
