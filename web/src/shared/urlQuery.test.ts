import { describe, expect, it } from 'vitest'
import { readState, writeState } from './urlQuery'

const spec = { filters: ['user_phone', 'approve_status'], perPage: 15 } as const

describe('readState', () => {
  it('reads an untouched list from an empty address', () => {
    expect(readState({}, spec)).toEqual({ filters: { user_phone: '', approve_status: '' }, page: 1, perPage: 15 })
  })

  it('takes no number of rows where the server always gives the same', () => {
    expect(readState({ per_page: '500' }, { filters: [], perPage: 20, fixedSize: true }).perPage).toBe(20)
  })

  it('reads filters and page', () => {
    expect(readState({ user_phone: ' 13900000001 ', approve_status: 'applying', page: '3', per_page: '50', other: 'x' }, spec)).toEqual({
      filters: { user_phone: '13900000001', approve_status: 'applying' },
      page: 3,
      perPage: 50,
    })
  })

  it.each([
    [{ page: 'two' }, 1, 15],
    [{ page: '-1', per_page: '0' }, 1, 15],
    [{ page: '1.5', per_page: '1e9' }, 1, 1000],
    [{ page: ['4', '5'], per_page: null }, 4, 15],
  ])('makes sense of %o', (query, page, perPage) => {
    expect(readState(query, spec)).toMatchObject({ page, perPage })
  })

  it('takes a filter without a value for none', () => {
    expect(readState({ user_phone: null, approve_status: [] }, spec).filters).toEqual({ user_phone: '', approve_status: '' })
  })
})

describe('writeState', () => {
  it('keeps the address of an untouched list empty', () => {
    expect(writeState(readState({}, spec), spec)).toEqual({})
  })

  it('survives the way there and back', () => {
    const query = { user_phone: '13900000001', approve_status: 'approved', page: '2', per_page: '100' }
    expect(writeState(readState(query, spec), spec)).toEqual(query)
  })
})
