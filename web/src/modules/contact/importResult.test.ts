import { describe, expect, it } from 'vitest'
import { importResult } from './importResult'
import type { ImportReport } from './types'

const report = (changes: Partial<ImportReport>): ImportReport => ({ total: 0, created: 0, updated: 0, unchanged: 0, failed: 0, errors: [], ...changes })

describe('importResult', () => {
  it.each([
    ['no lines', report({}), 'warning', '没有导入任何内容'],
    ['every line failed', report({ total: 3, failed: 3 }), 'error', '导入失败'],
    ['some lines failed', report({ total: 3, created: 2, failed: 1 }), 'warning', '有误 1'],
    ['every line went in', report({ total: 2, created: 1, unchanged: 1 }), 'success', '新建 1'],
    ['a line that was there already', report({ total: 1, unchanged: 1 }), 'success', '未变 1'],
  ] as const)('%s', (_, given, type, text) => {
    const result = importResult(given)
    expect(result.type).toBe(type)
    expect(result.title).toContain(text)
  })
})
