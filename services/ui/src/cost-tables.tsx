import type { CostAnswer, PolicyCost } from '@winnow/cost'
import { Figure } from './figure.tsx'
import { bytesText, countText, dollarsText } from './format.ts'
import { type RowsAsked, rowsOfTier } from './links.ts'
import { tiers } from './series.ts'
import { Wide } from './wide.tsx'

interface TableProps {
  readonly answer: CostAnswer
  readonly link: (asked: RowsAsked | undefined) => string | undefined
}

const rowsOfPolicy: Readonly<Record<PolicyCost['policy'], RowsAsked>> = {
  'keep all': {},
  'this policy': { only: 'kept' },
  'errors only': { only: 'errors' },
}

/** Keep all, this policy, errors alone. */
export function ComparedTable({ answer, link }: TableProps) {
  const { compared = [] } = answer
  if (compared.length === 0) {
    return (
      <p class="note">Nothing was kept in these days: there are no bytes to compare policies by.</p>
    )
  }
  return (
    <section aria-labelledby="compared">
      <h2 id="compared">On this traffic</h2>
      <Wide label="Policies on this traffic">
        <table>
          <thead>
            <tr>
              <th scope="col">policy</th>
              <th scope="col">traces</th>
              {tiers.map(tier => (
                <th scope="col" key={tier}>
                  {tier}
                </th>
              ))}
              <th scope="col">a month</th>
              <th scope="col">an object a trace</th>
            </tr>
          </thead>
          <tbody>
            {compared.map(one => {
              const href = link(rowsOfPolicy[one.policy])
              return (
                <tr key={one.policy}>
                  <th scope="row">{one.policy}</th>
                  <td>
                    <Figure
                      value={one.traces}
                      text={countText(one.traces)}
                      of={`${one.policy}, traces`}
                      href={href}
                    />
                  </td>
                  {tiers.map(tier => (
                    <td key={tier}>
                      <Figure
                        value={one.tiers[tier].gb}
                        text={bytesText(one.tiers[tier].gb * 1e9)}
                        of={`${one.policy}, ${tier}`}
                        href={href}
                      />
                    </td>
                  ))}
                  <td>
                    <Figure
                      value={one.dollars}
                      text={dollarsText(one.dollars)}
                      of={`${one.policy}, a month`}
                      href={href}
                    />
                  </td>
                  <td>
                    <Figure
                      value={one.dollarsAsObjects}
                      text={dollarsText(one.dollarsAsObjects)}
                      of={`${one.policy}, an object a trace`}
                      href={href}
                    />
                  </td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </Wide>
      <p class="note">
        Sizes are of full tiers, of all traffic estimated from what was kept. An object a trace:
        what a store would cost that puts every trace into an object of its own, in every tier.
      </p>
    </section>
  )
}

/** A month line by line: each a quantity times a price. */
export function BillTable({ answer, link }: TableProps) {
  return (
    <section aria-labelledby="bill">
      <h2 id="bill">The month, line by line</h2>
      <Wide label="The month, line by line">
        <table>
          <thead>
            <tr>
              <th scope="col">tier</th>
              <th scope="col" class="word">
                what
              </th>
              <th scope="col">quantity</th>
              <th scope="col" class="word">
                unit
              </th>
              <th scope="col">price</th>
              <th scope="col">a month</th>
            </tr>
          </thead>
          <tbody>
            {answer.lines.map(({ tier, what, quantity, unit, price, dollars }, at) => {
              const href = link(rowsOfTier(tier))
              return (
                <tr key={`${tier} ${what} ${at}`}>
                  <th scope="row">{tier}</th>
                  <td class="word">{what}</td>
                  <td>
                    <Figure
                      value={quantity}
                      text={countText(quantity)}
                      of={`${tier}, ${what}`}
                      href={href}
                    />
                  </td>
                  <td class="word">{unit}</td>
                  <td>{price}</td>
                  <td>
                    <Figure
                      value={dollars}
                      text={dollarsText(dollars)}
                      of={`${tier}, ${what}, a month`}
                      href={href}
                    />
                  </td>
                </tr>
              )
            })}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row" colSpan={5}>
                total
              </th>
              <td>
                <Figure
                  value={answer.monthTotal}
                  text={dollarsText(answer.monthTotal)}
                  of="total"
                  href={link({})}
                />
              </td>
            </tr>
          </tfoot>
        </table>
      </Wide>
      <p class="note">
        Prices are those of <code>costs</code> in winnow.yaml, else list prices of AWS in US East.
      </p>
    </section>
  )
}

/** What the stores' own listings say. Of one tenant there is none: objects hold several tenants' rows. */
export function StoredTable({ answer: { stored, tenant } }: Pick<TableProps, 'answer'>) {
  return (
    <section aria-labelledby="stored">
      <h2 id="stored">Stored now</h2>
      {tenant !== null ? (
        <p class="note">
          Objects hold the rows of several tenants, so that what is stored is told of all of them:
          it needs a key with the scope <code>admin</code>.
        </p>
      ) : (
        <>
          <Wide label="Stored now">
            <table>
              <thead>
                <tr>
                  <th scope="col">where</th>
                  <th scope="col">bytes</th>
                  <th scope="col">objects</th>
                  <th scope="col">foreign</th>
                </tr>
              </thead>
              <tbody>
                {stored.map(({ where, bytes, objects, foreign }) => (
                  <tr key={where}>
                    <th scope="row">{where}</th>
                    <td>
                      <Figure value={bytes} text={bytesText(bytes)} of={where} />
                    </td>
                    <td>{where === 'hot' ? '' : countText(objects)}</td>
                    <td>{where === 'hot' ? '' : countText(foreign)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Wide>
          <p class="note">
            By the stores' own listings. <code>winnow audit --csv</code> lists every object that the
            ledger does not account for.
          </p>
        </>
      )}
    </section>
  )
}
