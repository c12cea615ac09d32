import type { AddressInfo, Server } from 'node:net'

/** `host:port` of a server that listens, with IPv6 in brackets. */
export function boundAddress(server: Server): string {
  const { address, port } = server.address() as AddressInfo
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
