export { ColdKeyChanges, type ColdKeysDestroyed, type NamedColdKeys } from './cold-key-changes.ts'
export type { ColdKeys } from './cold-keys.ts'
export { Detector, type DetectorOptions } from './detect/detector.ts'
export { type DetectedKind, detectedKinds, type Finding } from './detect/finding.ts'
export { Pattern, patternCharsMax, patternRepeatMax } from './detect/pattern.ts'
export { kindShape, readToken, unscanned } from './detect/token-shape.ts'
export { FileColdKeys } from './file-cold-keys.ts'
export { FileTokenKeys } from './file-token-keys.ts'
export {
  ColdHasher,
  ColdHashers,
  coldHashersMax,
  coldKeyBytes,
  coldKeyCheck,
  coldKeysMax,
  hasherMemoMax,
  hasherMemoTextLengthMax,
} from './hash.ts'
export { keyNameLengthMax } from './key-files.ts'
export { type KeyNature, keyNature, keyNatureOf } from './key-nature.ts'
export { KnownTexts, knownText, knownTextBytesMax, type Replaced } from './known-texts.ts'
export {
  type LevelOverrides,
  levelKeyBytesMax,
  levelOverridesMax,
  levelPatternMistake,
} from './level-overrides.ts'
export {
  classOf,
  clearTextLengthMax,
  clearTextWordsMax,
  isClearText,
  isNamedContent,
  type KeyClass,
  type Level,
  type LevelRow,
  type LevelSource,
  levelOf,
  levelTable,
  overrideLevels,
} from './levels.ts'
export { MemoryColdKeys } from './memory-cold-keys.ts'
export { cleanTextsMax } from './names/clean-texts.ts'
export type { NameAnswer, NameDetector, UnscannedReason } from './names/name-detector.ts'
export type { NameSearch } from './names/name-search.ts'
export { Names, type NamesOptions, type TenantNames } from './names/names.ts'
export { redactNamesInJson } from './names/names-in-json.ts'
export { detectorUrlMistake, nameAnswerBytesMax, Presidio } from './names/presidio.ts'
export { redactEvaluationId } from './redact-id.ts'
export { redactJson } from './redact-json.ts'
export { Redactor } from './redactor.ts'
export { keysReadEveryMs, type RedactionSettings, Redactors, redactorsMax } from './redactors.ts'
export { holdsSecret } from './secret-keys.ts'
export {
  SharedTokenKeys,
  sharedSecretCharsMin,
  sharedTokenKeysFrom,
  sharedTokenKeysOf,
  type TokenKeys,
  tokenKeysFrom,
} from './token-keys.ts'
export {
  type TokenKey,
  Tokens,
  tokenKeyBytes,
  tokenKeyCheck,
  tokenKeysMax,
  tokenMemoMax,
} from './tokens.ts'
