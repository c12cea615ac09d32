export {
  type CostLine,
  daysOfMonth,
  forecast,
  monthlyLines,
  type TierFlow,
  totalOf,
} from './cost-model.ts'
export { type CostPrices, costPricesSchema, type TierPrice } from './prices.ts'
