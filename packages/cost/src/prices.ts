import { bytesKey } from '@winnow/runtime'
import { z } from 'zod'

const price = (fallback: number) => z.number().nonnegative().default(fallback)

interface Fallback {
  readonly gbMonth: number
  readonly putsPer1000?: number
  readonly copies?: number
  readonly objectMin?: string
  readonly daysMin?: number
}

function tierPrice({
  gbMonth,
  putsPer1000 = 0,
  copies = 1,
  objectMin = '0B',
  daysMin = 0,
}: Fallback) {
  return z
    .strictObject({
      /** A gigabyte (10^9 bytes) for a month. */
      gbMonth: price(gbMonth),
      /** How often each of the bytes lies there, where they are counted once. */
      copies: z.number().min(1).default(copies),
      /** A thousand objects made. */
      putsPer1000: price(putsPer1000),
      /** A smaller object is paid as one of this size. */
      objectMin: bytesKey(objectMin),
      /** An object deleted earlier is paid until then. */
      daysMin: z.number().nonnegative().default(daysMin),
    })
    .prefault({})
}

/**
 * What a month costs where it is stored. The defaults are list prices of AWS in US East (S3 Standard,
 * Standard-IA, Glacier Instant Retrieval, EBS gp3), in dollars, without tax or discount.
 */
export const costPricesSchema = z
  .strictObject({
    hot: tierPrice({ gbMonth: 0.08 }),
    warm: tierPrice({ gbMonth: 0.0125, putsPer1000: 0.01, objectMin: '128KiB', daysMin: 30 }),
    cold: tierPrice({ gbMonth: 0.004, putsPer1000: 0.02, objectMin: '128KiB', daysMin: 90 }),
    ledger: tierPrice({ gbMonth: 0.023, putsPer1000: 0.005 }),
    /** What finds a decision by its trace id: snapshots of the index, and id indexes by day. */
    index: tierPrice({ gbMonth: 0.023, putsPer1000: 0.005 }),
    /** What is paid whatever comes in: brokers, nodes, processes. */
    fixed: z
      .array(z.strictObject({ name: z.string().min(1).max(80), month: z.number().nonnegative() }))
      .max(100)
      .default([]),
  })
  .prefault({})

export type CostPrices = z.infer<typeof costPricesSchema>

/** Of one tier. */
export type TierPrice = CostPrices['hot']
