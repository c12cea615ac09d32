export type { ColdKeys } from './cold-keys.ts'
export { FileColdKeys, keyNameLengthMax } from './file-cold-keys.ts'
export {
  ColdHasher,
  ColdHashers,
  coldHashersMax,
  coldKeyBytes,
  hasherMemoMax,
  hasherMemoTextLengthMax,
} from './hash.ts'
export {
  clearTextLengthMax,
  clearTextWordsMax,
  isClearText,
  isNamedContent,
  type Level,
  type LevelRow,
  levelOf,
  levelTable,
} from './levels.ts'
export { MemoryColdKeys } from './memory-cold-keys.ts'
