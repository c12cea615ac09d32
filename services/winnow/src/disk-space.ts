import { statfs } from 'node:fs/promises'
import type { Metrics } from '@winnow/runtime'

/** How full the disk of the data folder is. Nothing where there is none: then nothing is kept there. */
export async function measureDisk(data: string, metrics: Metrics): Promise<void> {
  const disk = await statfs(data).catch(() => undefined)
  if (disk === undefined) return
  const folder = 'data'
  metrics.diskFree.set({ folder }, disk.bavail * disk.bsize)
  metrics.diskSize.set({ folder }, disk.blocks * disk.bsize)
}
