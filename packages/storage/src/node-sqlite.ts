// biome-ignore-all lint/correctness/noUnresolvedImports: Biome 2.5 does not know Node 24's SQLite.

export type { SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'
export { DatabaseSync } from 'node:sqlite'
