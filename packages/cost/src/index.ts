export {
  type CostLine,
  daysOfMonth,
  forecast,
  monthlyLines,
  objectPerTraceFlows,
  scaledFlows,
  type TierFlow,
  totalOf,
} from './cost-model.ts'
export {
  type CostAnswer,
  type CostDay,
  type CostQuestion,
  type CostReport,
  type CostSettings,
  type CostSource,
  measureCost,
  reportOf,
} from './cost-report.ts'
export {
  type CostRowFilter,
  type CostRows,
  findCostRows,
  type ShownCostRow,
} from './cost-rows.ts'
export {
  type Dimension,
  dimensions,
  type LedgerDay,
  type LedgerSum,
  LedgerSums,
  nameless,
  namesMax,
  others,
} from './ledger-sums.ts'
export { type CostPrices, costPricesSchema, type TierPrice } from './prices.ts'
export { type CostShare, comparedPolicies, costShares, type PolicyCost } from './shares.ts'
export type { SpanShares } from './span-shares.ts'
export { type MeasureOptions, measureStored, type Stored, type StoredFolder } from './stored.ts'
