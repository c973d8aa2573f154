import { integer } from '@/shared/format'
import type { ImportReport } from './types'

/** What the dialog says of an import that was carried out. */
export interface ImportResult {
  type: 'success' | 'warning' | 'error'
  title: string
}

/**
 * A green tick is for a file of which every line went in: not for one without lines, from which
 * nothing was imported, and not for one whose every line failed.
 */
export function importResult(report: ImportReport): ImportResult {
  const counts = `共 ${integer(report.total)} 行:新建 ${integer(report.created)}，修改 ${integer(report.updated)}，未变 ${integer(report.unchanged)}，有误 ${integer(report.failed)}`
  if (report.total === 0) return { type: 'warning', title: '文件中没有记录，没有导入任何内容' }
  if (report.failed === report.total) return { type: 'error', title: `导入失败，${counts}` }
  if (report.failed > 0) return { type: 'warning', title: counts }
  return { type: 'success', title: counts }
}
