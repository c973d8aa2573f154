import { describe, expect, it } from 'vitest'
import { dateTime, fileSize, integer, orDash } from './format'

describe('format', () => {
  it('shows a time as the server has it', () => {
    expect(dateTime('2026-01-02T15:04:05.913+08:00')).toBe('2026-01-02 15:04:05')
    expect(dateTime(null)).toBe('')
  })

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [4202, '4.1 KB'],
    [12 * 1024 ** 2, '12.0 MB'],
    [3 * 1024 ** 3, '3.0 GB'],
    [2 * 1024 ** 4, '2.0 TB'],
  ])('shows %i bytes', (bytes, text) => expect(fileSize(bytes)).toBe(text))

  it('groups digits', () => expect(integer(20000)).toBe('20,000'))

  it('marks an empty cell, and only that', () => {
    expect([orDash(null), orDash(''), orDash(undefined), orDash(0), orDash('x')]).toEqual(['—', '—', '—', '0', 'x'])
  })
})
