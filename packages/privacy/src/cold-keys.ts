/**
 * Where the cold keys live: 32 random bytes a tenant. Whoever destroys a tenant's key makes its cold
 * strings unlinkable, so an adapter keeps exactly one copy and never derives it from anything.
 */
export interface ColdKeys {
  /**
   * The tenant's key, made on first use: durable before it resolves, and the same for everybody who
   * asks, however many ask first at once. The bytes are the caller's to read, not to change.
   */
  key(tenant: string): Promise<Uint8Array>
}
