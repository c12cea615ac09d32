import { useEffect, useState } from 'preact/hooks'

export const themes = ['system', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

const storedAs = 'winnow.theme'

/** What was chosen, and what it comes to: pictures are drawn anew when that changes. */
export function useTheme(): [
  { readonly chosen: Theme; readonly shown: 'light' | 'dark' },
  (theme: Theme) => void,
] {
  const [chosen, setChosen] = useState<Theme>(
    () => themes.find(one => one === localStorage.getItem(storedAs)) ?? 'system',
  )
  const [isSystemDark, setSystemDark] = useState(() => systemDark().matches)
  useEffect(() => {
    const query = systemDark()
    const changed = (): void => setSystemDark(query.matches)
    query.addEventListener('change', changed)
    return () => query.removeEventListener('change', changed)
  }, [])
  const shown = chosen === 'system' ? (isSystemDark ? 'dark' : 'light') : chosen
  document.documentElement.dataset.theme = shown
  const choose = (theme: Theme): void => {
    localStorage.setItem(storedAs, theme)
    setChosen(theme)
  }
  return [{ chosen, shown }, choose]
}

const systemDark = (): MediaQueryList => matchMedia('(prefers-color-scheme: dark)')
