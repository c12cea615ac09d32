export {
  type BacktestOptions,
  type BacktestReport,
  backtest,
  type Flip,
} from './backtest/backtest.ts'
export type { DecidedSince } from './backtest/recorded-facts.ts'
export { decodeBaselines } from './baselines-record.ts'
export { ColumnFollower, type ColumnFollowerOptions } from './column-follower.ts'
export {
  defaultSamplerConfig,
  type SamplerConfig,
  samplerConfigSchema,
} from './config.ts'
export type { Imported } from './import/imported.ts'
export { importRefinery } from './import/refinery.ts'
export { importTailSampling } from './import/tail-sampling.ts'
export { policyColumns } from './policy-conditions.ts'
export {
  type PoliciesShown,
  type PolicyAnswer,
  PolicyDesk,
  type PolicyRequest,
  type ShownPolicy,
  type ShownText,
} from './policy-desk.ts'
export { diffPolicies, type PolicyDiff, type RuleChange } from './policy-diff.ts'
export {
  checkPolicy,
  defaultPolicy,
  type Policy,
  type PolicyCheck,
  parsePolicy,
  policyOfRecord,
  type RuleKind,
  type RuleSpec,
} from './policy-file.ts'
export { type Rederived, rederive } from './rederive.ts'
export { type CompiledPolicy, compilePolicy } from './rules.ts'
export { createSampler, type Sampler, type SamplerOptions } from './sampler.ts'
export type { SamplerTopics } from './shared.ts'
