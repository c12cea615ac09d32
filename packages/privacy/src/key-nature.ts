import { holdsSecret, keyBytesMax } from './secret-keys.ts'

/** What a key says of its value, whatever that looks like. */
export const keyNature = {
  any: 0,
  /** All of it is a secret. */
  secret: 1,
  /** A version of something: four numbers in it are no address. */
  version: 2,
  /** The id of a thing: digits in it are nobody's number. */
  thing: 3,
} as const

export type KeyNature = (typeof keyNature)[keyof typeof keyNature]

/** Kinds that are not sought in the value of such a key. */
export const spared: Readonly<Record<KeyNature, readonly string[]>> = {
  0: [],
  1: [],
  2: ['ip'],
  3: ['card', 'phone', 'national_id'],
}

const version =
  /(?:^|[._-])version$|[a-z]Version$|(?:^|[._-])user[_-]agent(?:$|\.)|^(?:telemetry|os|process\.runtime)\./
/** Not sessions, threads, conversations, accounts: there an id often is somebody's number. */
const thing =
  /(?:^|[._\-/])(?<!(?:identity|travel|personal|national)[._-])(?:trace|span|parent|observation|request|response|order|invoice|ticket|batch|job|run|task|build|event|message|document|doc|chunk|item|product|transaction|correlation|tool[._-]?call|deployment|instance|container|pod|node|process|host|prompt|dataset|experiment)[._-]?ids?$|(?:^|[._-])sku$/i

/** Spares the long ones for nearly every key. */
const mayBe = /version|agent|^telemetry|^os\.|^process|ids?$|sku$/i

export function keyNatureOf(key: string): KeyNature {
  if (holdsSecret(key)) return keyNature.secret
  if (key.length > keyBytesMax || !mayBe.test(key)) return keyNature.any
  if (version.test(key)) return keyNature.version
  return thing.test(key) ? keyNature.thing : keyNature.any
}
