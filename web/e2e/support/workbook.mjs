// Reads a workbook with a library that is not ours: Python's openpyxl.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

const script = `
import datetime, json, sys
import openpyxl
def plain(value):
    if isinstance(value, datetime.datetime):
        return (value + datetime.timedelta(milliseconds=500)).strftime("%Y-%m-%d %H:%M:%S") if value.microsecond >= 999500 else value.strftime("%Y-%m-%d %H:%M:%S")
    return "" if value is None else str(value)
book = openpyxl.load_workbook(sys.argv[1], read_only=True)
rows = [[plain(cell) for cell in row] for row in book.worksheets[0].iter_rows(values_only=True)]
json.dump({"sheets": len(book.worksheets), "header": rows[0], "rows": rows[1:]}, sys.stdout)
`

/** The cells of the first sheet as text, times as "2006-01-02 15:04:05", empty cells as "". */
export async function readWorkbook(path) {
  const { stdout } = await run(process.env.PYTHON ?? '/usr/bin/python3', ['-c', script, path], { maxBuffer: 256 << 20 })
  return JSON.parse(stdout)
}

export const columns = [
  'ID',
  '注册时间',
  '审批状态',
  '审批原因',
  '被邀请人手机号',
  '公司名称',
  '部门',
  '职位',
  '地区',
  '邀请人手机号',
  '展会ID',
  '展会名称',
]

/** The cells an invitation of the list has in the file. */
export function cellsOf(invitation, labels) {
  const { id, created_at: createdAt, approve_status: status, approve_description: why, user, recommend_user: inviter, exhibition } = invitation
  return [
    id,
    createdAt.slice(0, 19).replace('T', ' '),
    labels[status] ?? status,
    why,
    user?.phone,
    user?.company_name,
    user?.department,
    user?.position,
    user?.area,
    inviter?.phone,
    exhibition?.id,
    exhibition?.name,
  ].map((value) => (value === null || value === undefined ? '' : String(value)))
}
