import { beforeEach, describe, expect, it } from 'vitest'
import { sessionMemory } from './memory'

beforeEach(() => window.sessionStorage.clear())

describe('sessionMemory', () => {
  it('keeps what is shown and what was dismissed, for each person apart', () => {
    sessionMemory(1).save({ shown: ['a'], dismissed: ['b', 'c'] })
    expect(sessionMemory(1).load()).toEqual({ shown: ['a'], dismissed: ['b', 'c'] })
    expect(sessionMemory(2).load()).toEqual({ shown: [], dismissed: [] })
  })

  it.each(['["a"]', '{"shown":"a","dismissed":[1,"b"]}', 'no json', 'null'])('makes the best of %s', (stored) => {
    window.sessionStorage.setItem('exporthub.exports.1', stored)
    expect(sessionMemory(1).load()).toEqual({ shown: [], dismissed: stored.includes('"b"') ? ['b'] : [] })
  })

  it('stays small', () => {
    sessionMemory(1).save({ shown: Array<string>(500).fill('a'), dismissed: Array<string>(500).fill('b') })
    const { shown, dismissed } = sessionMemory(1).load()
    expect([shown.length, dismissed.length]).toEqual([20, 100])
  })
})
