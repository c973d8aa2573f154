package xlsx

import "slices"

// room is how much of a sheet's XML is used up. What rows take is known only once they are encoded,
// which happens behind the caller: so the most they could take is counted, and made exact when that
// passes the limit. Only where the limit is truly near are rows encoded twice, to end the sheet
// before the very row that doesn't fit.
type room struct {
	used int64 // at most
	row  int64 // what a row takes at most beside its text
	near bool  // used is exact, and every row is measured
}

// nearLimit is from how little room on every row is measured.
const nearLimit = 1 << 20

// textMost is how many bytes one byte of text takes at most: a control character takes _x0001_.
const textMost = 7

// rowMost is how many bytes of XML a row takes at most beside its texts.
func rowMost(columns []column) int64 {
	most := int64(len(`<row r="1048576"></row>`))
	for i := range columns {
		most += columns[i].most
	}
	return most
}

// makeRoom counts the row that stands at the end of the batch, or reports that its sheet has no
// room for it. A sheet takes its first row in any case: no other would have more room.
func (x *writer) makeRoom(text int) (fits bool, err error) {
	most := x.room.row + int64(text)*textMost
	if !x.room.near && x.room.used+most > x.limits.sheetBytes && x.row > 1 {
		if err := x.settle(); err != nil {
			return false, err
		}
		x.room.near = x.limits.sheetBytes-x.room.used < max(nearLimit, most)
	}
	if !x.room.near {
		x.room.used += most
		return true, nil
	}
	exact := x.measure()
	// A row that fits no sheet is written all the same; the limit leaves room for one.
	if x.row > 1 && x.room.used+exact > x.limits.sheetBytes {
		return false, nil
	}
	x.room.used += exact
	return true, nil
}

// settle sends all rows but the one at the end of the batch, waits until they are in the file, and
// takes the sheet's exact size from there.
func (x *writer) settle() error {
	row := x.takeBack()
	x.send()
	x.batch.cells = append(x.batch.cells, row...)
	if err := x.pipeline.wait(); err != nil {
		return err
	}
	x.room.used = x.archive.entries[len(x.archive.entries)-1].size
	return nil
}

// lastRow returns the cells at the end of the batch, which stay in it.
func (x *writer) lastRow() []cell { return x.batch.cells[len(x.batch.cells)-len(x.columns):] }

// takeBack takes the row at the end of the batch out of it.
func (x *writer) takeBack() []cell {
	row := slices.Clone(x.lastRow())
	x.batch.cells = x.batch.cells[:len(x.batch.cells)-len(row)]
	return row
}

// measure returns how many bytes of XML the row at the end of the batch takes, by encoding it once
// for nothing: only near the limit is it worth that.
func (x *writer) measure() int64 {
	b := batch{zone: zone{location: x.sheet.Location}}
	b.appendRow(x.columns, x.lastRow(), x.row+1)
	return int64(len(b.own.xml))
}
