// Reads a workbook with exceljs, whole and as a stream, and prints both as JSON:
// {whole: [{name, rows: [[text]]}], streamed: [...]}
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
  let streamed = [];
  // exceljs's streaming reader may end before it has seen the entries behind the sheets, where ours
  // has the workbook itself: its unzipper loses them in about half of the tries with three sheets,
  // also in archives that other programs made. What it reads when it does not is what is compared.
  for (let tries = 1; ; tries++) {
    try {
      streamed = await stream(path, columns);
      break;
    } catch (err) {
      if (tries === 20 || !/reading 'model'/.test(err.message)) throw err;
    }
  }
  console.log(JSON.stringify({ creator: book.creator, title: book.title, whole, streamed }));
}

async function stream(path, columns) {
  const sheets = [];
  const reader = new exceljs.stream.xlsx.WorkbookReader(path, {
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
