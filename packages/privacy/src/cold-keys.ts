/**
 * Where the cold keys live: 32 random bytes each, the last of a tenant's the current one. Whoever destroys them makes
 * the tenant's cold strings unlinkable, so an adapter keeps exactly one copy and never derives a key from anything.
 */
export interface ColdKeys {
  /**
   * The tenant's keys, of which one is made on first use: durable before it resolves, and the same for everybody who
   * asks, however many ask first at once. What was changed meanwhile is read anew. The bytes are the caller's to
   * read, not to change.
   */
  keys(tenant: string): Promise<readonly Uint8Array[]>
}
