import { useEffect, useState } from 'preact/hooks'
import { type Asked, ask } from './api.ts'

const loading = { kind: 'loading' } as const

/** Asks whenever the path or the key changes, and when told to; an answer that comes too late is nobody's. */
export function useAsked<T>(path: string, key: string | undefined): [Asked<T>, () => void] {
  const [attempt, setAttempt] = useState(0)
  const [answer, setAnswer] = useState<{ readonly of: string; readonly asked: Asked<T> }>()
  const of = JSON.stringify([path, key])
  // Every attempt asks anew
  useEffect(() => {
    const ended = new AbortController()
    ask<T>(path, key, ended.signal).then(
      asked => {
        if (!ended.signal.aborted) setAnswer({ of, asked })
      },
      () => {},
    )
    return () => ended.abort()
  }, [of, attempt])
  const again = (): void => setAttempt(before => before + 1)
  return [answer?.of === of ? answer.asked : loading, again]
}
