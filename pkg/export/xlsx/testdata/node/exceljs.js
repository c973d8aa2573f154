// Reads a workbook with exceljs, whole and as a stream, and prints both as JSON:
// {whole: [{name, rows: [[text]]}], streamed: [...]}
const fs = require('node:fs');
const { Readable } = require('node:stream');
const exceljs = require('exceljs');

// text is a cell's value, a date as the instant that the cell's digits are in UTC.
function text(value) {
  if (value === null || value === undefined) return '';
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'object') {
    if (value.richText) return value.richText.map((run) => run.text).join('');
    throw new Error('cell of an unknown kind: ' + JSON.stringify(value));
  }
  return String(value);
}

function row(r, columns) {
  const cells = [];
  for (let c = 1; c <= columns; c++) cells.push(text(r.getCell(c).value));
  return cells;
}

async function main(path, columns) {
  const book = new exceljs.Workbook();
  await book.xlsx.readFile(path);
  const whole = book.worksheets.map((sheet) => {
    const rows = [];
    sheet.eachRow((r) => rows.push(row(r, columns)));
    return { name: sheet.name, rows };
  });
  const streamed = await stream(path, columns);
  console.log(JSON.stringify({ creator: book.creator, title: book.title, whole, streamed }));
}

// The zip reader below exceljs' streaming reader reports its end as soon as its input has ended, and
// what exceljs has not taken by then is lost: with small files the entries behind the sheets, where
// ours has the workbook itself. The end of the archive is therefore kept back until they were read.
async function* heldBack(file, isRead) {
  const endRecord = 22; // bytes, without a comment
  yield file.subarray(0, -endRecord);
  for (const deadline = Date.now() + 60_000; !isRead(); ) {
    if (Date.now() > deadline) throw new Error('no workbook.xml, relations or styles were read');
    await new Promise(setImmediate);
  }
  yield file.subarray(-endRecord);
}

async function stream(path, columns) {
  const sheets = [];
  const input = Readable.from(
    heldBack(fs.readFileSync(path), () => reader.model && reader.workbookRels && reader.styles),
  );
  const reader = new exceljs.stream.xlsx.WorkbookReader(input, {
    worksheets: 'emit',
    sharedStrings: 'cache',
    styles: 'cache',
    hyperlinks: 'ignore',
  });
  for await (const sheet of reader) {
    const rows = [];
    for await (const r of sheet) rows.push(row(r, columns));
    sheets.push({ name: sheet.name, rows });
  }
  return sheets;
}

main(process.argv[2], Number(process.argv[3])).catch((err) => {
  console.error(err.stack);
  process.exit(1);
});
