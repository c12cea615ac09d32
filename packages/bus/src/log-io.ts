import { type FileHandle, open, rename, statfs } from 'node:fs/promises'
import { syncFolder } from '@winnow/runtime'

/** What a log does to the disk, so that a test can make the disk fail, fill up or forget. */
export interface LogIo {
  /** Writes all of [at, at + length) of `bytes`. */
  write(
    file: FileHandle,
    bytes: Buffer,
    at: number,
    length: number,
    position: number,
  ): Promise<void>
  /** Resolves once what was written survives a power cut. */
  sync(file: FileHandle): Promise<void>
  /** Bytes that may still be written below `folder`. */
  freeBytes(folder: string): Promise<number>
}

/** The disk itself. Everything runs in libuv's pool; nothing here blocks the caller's thread. */
export const diskIo: LogIo = {
  async write(file, bytes, at, length, position) {
    for (let done = 0; done < length; ) {
      const { bytesWritten } = await file.write(bytes, at + done, length - done, position + done)
      done += bytesWritten
    }
  },
  sync: file => file.datasync(),
  async freeBytes(folder) {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  },
}

/** Puts a whole file under `path` or none: a crash leaves at most a `.tmp` beside it. */
export async function writeWhole(path: string, folder: string, bytes: Buffer): Promise<void> {
  const temporary = `${path}.tmp`
  const handle = await open(temporary, 'w')
  try {
    await diskIo.write(handle, bytes, 0, bytes.length, 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, path)
  await syncFolder(folder)
}

/** Reads exactly `length` bytes, or as many as the file has. */
export async function readAt(
  file: FileHandle,
  into: Buffer,
  length: number,
  position: number,
): Promise<number> {
  let done = 0
  while (done < length) {
    const { bytesRead } = await file.read(into, done, length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}
