/** The default branch of a switch over a closed union: unreachable, and a compile error when it is not. */
export function assertNever(value: never): never {
  throw new TypeError(`unreachable: ${JSON.stringify(value)}`)
}
