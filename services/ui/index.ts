import { fileURLToPath } from 'node:url'

/** Where `npm run prepare` puts the page. */
export const pageFolder: string = fileURLToPath(new URL('./dist', import.meta.url))
