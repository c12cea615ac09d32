import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { headersBytesMax } from './api-keys.ts'
import { type Address, keepAliveMs } from './config.ts'
import type { Health } from './health.ts'
import type { Component } from './lifecycle.ts'
import type { ServerTls } from './tls-files.ts'
import { TlsFront } from './tls-front.ts'

export interface AdminServerOptions {
  readonly listen: Address
  readonly health: Health
  /** Undefined: plain text. */
  readonly tls?: ServerTls
  /** Prometheus text, made at every request. */
  readonly metricsText: () => Promise<string>
}

/**
 * `/metrics` (Prometheus text), `/healthz` (200 while the process runs its event loop) and `/readyz`
 * (200, or 503 with the parts that are not ready). It asks neither for a key nor for a client's certificate: a
 * scraper and a probe have none, and nothing here is a tenant's content.
 */
export class AdminServer implements Component {
  readonly #listen: Address
  readonly #server: Server
  readonly #front: TlsFront | undefined

  constructor(options: AdminServerOptions) {
    this.#listen = options.listen
    const limits = { keepAliveTimeout: keepAliveMs, maxHeaderSize: headersBytesMax }
    this.#server = createServer(limits, (request, response) => {
      answer(options, request.url ?? '/').then(
        ([status, type, body]) => response.writeHead(status, { 'content-type': type }).end(body),
        (error: unknown) => response.writeHead(500).end(`${error}\n`),
      )
    })
    const alpn = ['http/1.1']
    this.#front =
      options.tls && new TlsFront(this.#server, options.tls, { alpn, asksClients: false })
  }

  /** `host:port` as bound; valid once started. */
  get address(): string {
    const { address, port } = this.#server.address() as AddressInfo
    return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
  }

  async start(): Promise<void> {
    this.#server.listen(this.#listen.port, this.#listen.host)
    await once(this.#server, 'listening')
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    this.#front?.hangUp()
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

async function answer(
  parts: AdminServerOptions,
  url: string,
): Promise<[status: number, type: string, body: string]> {
  const json = 'application/json'
  switch (url.split('?')[0]) {
    case '/metrics':
      return [200, 'text/plain; version=0.0.4; charset=utf-8', await parts.metricsText()]
    case '/healthz':
      return [200, json, '{"alive":true}\n']
    case '/readyz': {
      const health = await parts.health.read()
      return [health.ready ? 200 : 503, json, `${JSON.stringify(health)}\n`]
    }
    default:
      return [
        404,
        json,
        '{"error":{"code":"NOT_FOUND","remedy":"ask for /metrics, /healthz or /readyz"}}\n',
      ]
  }
}
