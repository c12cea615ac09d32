/**
 * Runs `work` for about a second of CPU after some warm-up and answers its units per
 * second of this process's CPU, of every thread: what is spent in the kernel and in libuv counts too.
 */
export async function cpuRate(work: () => number | Promise<number>): Promise<number> {
  await spend(400_000, work)
  return await spend(1_000_000, work)
}

async function spend(cpuUs: number, work: () => number | Promise<number>): Promise<number> {
  const start = process.cpuUsage()
  let units = 0
  for (;;) {
    units += await work()
    const { user, system } = process.cpuUsage(start)
    if (user + system >= cpuUs) return (units * 1_000_000) / (user + system)
  }
}
