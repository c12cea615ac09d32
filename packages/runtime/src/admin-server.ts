import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Health } from './health.ts'
import type { Component } from './lifecycle.ts'
import type { Metrics } from './metrics.ts'

/**
 * `/metrics` (Prometheus text), `/healthz` (200 while the process runs its event loop) and `/readyz`
 * (200, or 503 with the parts that are not ready).
 */
export class AdminServer implements Component {
  readonly #listen: { readonly host: string; readonly port: number }
  readonly #server: Server

  constructor(options: {
    readonly listen: { readonly host: string; readonly port: number }
    readonly metrics: Metrics
    readonly health: Health
    /** Called before `/metrics` is rendered: gauges that are read rather than counted. */
    readonly collect?: () => Promise<void>
  }) {
    this.#listen = options.listen
    this.#server = createServer((request, response) => {
      answer(options, request.url ?? '/').then(
        ([status, type, body]) => response.writeHead(status, { 'content-type': type }).end(body),
        (error: unknown) => response.writeHead(500).end(`${error}\n`),
      )
    })
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
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

async function answer(
  parts: {
    readonly metrics: Metrics
    readonly health: Health
    readonly collect?: () => Promise<void>
  },
  url: string,
): Promise<[status: number, type: string, body: string]> {
  const json = 'application/json'
  switch (url.split('?')[0]) {
    case '/metrics':
      await parts.collect?.()
      return [200, parts.metrics.registry.contentType, await parts.metrics.text()]
    case '/healthz':
      return [200, json, '{"alive":true}\n']
    case '/readyz': {
      const health = parts.health.read()
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
