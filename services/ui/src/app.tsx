import { useEffect, useState } from 'preact/hooks'
import { CostPage } from './cost-page.tsx'
import { costLink, type Place, placeOf } from './links.ts'
import { RowsPage } from './rows-page.tsx'
import { type Theme, themes, useTheme } from './theme.ts'

/** For as long as the tab is open; no other page or visit reads it. */
const keyName = 'winnow.key'

export function App() {
  const [place, setPlace] = useState<Place>(() => placeOf(location.hash))
  const [key, setKey] = useState<string | undefined>(sessionStorage.getItem(keyName) ?? undefined)
  const [theme, setTheme] = useTheme()
  useEffect(() => {
    const moved = (): void => setPlace(placeOf(location.hash))
    addEventListener('hashchange', moved)
    return () => removeEventListener('hashchange', moved)
  }, [])
  const keep = (given: string | undefined): void => {
    if (given === undefined) sessionStorage.removeItem(keyName)
    else sessionStorage.setItem(keyName, given)
    setKey(given)
  }
  const cost = place.view === 'cost' ? place : place.from
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        To the figures
      </button>
      <header>
        <a class="brand" href={costLink(cost)}>
          Winnow <span>cost</span>
        </a>
        <div class="controls">
          {key !== undefined && (
            <button type="button" onClick={() => keep(undefined)}>
              Forget key
            </button>
          )}
          <label>
            Colours{' '}
            <select
              value={theme.chosen}
              onChange={event => setTheme(event.currentTarget.value as Theme)}
            >
              {themes.map(one => (
                <option key={one} value={one}>
                  {one}
                </option>
              ))}
            </select>
          </label>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {place.view === 'cost' ? (
          <CostPage place={place} apiKey={key} onKey={keep} theme={theme.shown} />
        ) : (
          <RowsPage asked={place.asked} from={place.from} apiKey={key} onKey={keep} />
        )}
      </main>
    </>
  )
}
