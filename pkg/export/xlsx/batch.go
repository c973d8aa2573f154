package xlsx

import (
	"bytes"
	"hash/crc32"
	"strconv"

	"github.com/klauspost/compress/flate"

	"exporthub/pkg/dataset"
)

// A batch is full with so many cells, or so many bytes of text. What it holds decides where the compressed stream is cut,
// so that these are constants and not a matter of the machine.
const (
	batchCells = 8192
	batchText  = 512 << 10
)

// chunkBytes is how much XML is encoded before it is compressed: little enough to be still in the processor's cache.
const chunkBytes = 64 << 10

// batch is a run of rows on its way into the file. One goroutine has it at a time.
type batch struct {
	// What the caller puts in.
	name  string // begins this entry, when not empty
	head  []byte // before the rows
	cells []cell // of all rows, one after the other
	text  int    // bytes of text in them
	rows  int
	first int    // number of the first row
	tail  []byte // after the rows
	last  bool   // ends the entry

	// What becomes of it.
	packed bytes.Buffer // deflated: a part of a stream, or its end when it is the last
	crc    uint32
	size   int64 // bytes of XML
	report dataset.Report

	// What it works with.
	xml     []byte
	deflate *flate.Writer
	zone    zone
	done    chan struct{} // closed once it is in the file
}

// reset makes a used batch as good as new.
func (b *batch) reset() {
	clear(b.cells) // lets go of the texts
	b.name, b.head, b.tail, b.last = "", nil, nil, false
	b.cells, b.text, b.rows, b.first = b.cells[:0], 0, 0, 0
	b.packed.Reset()
	b.crc, b.size, b.report = 0, 0, dataset.Report{}
	if cap(b.xml) > 4*chunkBytes { // a very long row made it so
		b.xml = nil
	}
	if b.packed.Cap() > 2*batchText {
		b.packed = bytes.Buffer{}
	}
}

func (b *batch) isFull() bool { return len(b.cells) >= batchCells || b.text >= batchText }

// encode makes the batch's part of the compressed stream. The parts share no history, so that they can be made at once
// and in any order; each ends on a byte.
func (b *batch) encode(columns []column, level int) error {
	if b.deflate == nil {
		w, err := flate.NewWriter(&b.packed, level)
		if err != nil {
			return err
		}
		b.deflate = w
	} else {
		b.deflate.Reset(&b.packed)
	}
	b.xml = append(b.xml[:0], b.head...)
	for i := range b.rows {
		b.xml = appendRow(b.xml, columns, b.cells[i*len(columns):][:len(columns)], b.first+i, &b.zone, &b.report)
		if len(b.xml) >= chunkBytes {
			if err := b.pack(); err != nil {
				return err
			}
		}
	}
	b.xml = append(b.xml, b.tail...)
	if err := b.pack(); err != nil {
		return err
	}
	if b.last {
		return b.deflate.Close()
	}
	return b.deflate.Flush()
}

func (b *batch) pack() error {
	b.crc = crc32.Update(b.crc, crc32.IEEETable, b.xml)
	b.size += int64(len(b.xml))
	_, err := b.deflate.Write(b.xml)
	b.xml = b.xml[:0]
	return err
}

// appendRow appends a row of data.
func appendRow(dst []byte, columns []column, cells []cell, row int, z *zone, r *dataset.Report) []byte {
	var scratch [8]byte
	digits := strconv.AppendInt(scratch[:0], int64(row), 10) // at most 7
	dst = append(append(append(dst, `<row r="`...), digits...), `">`...)
	for i := range cells {
		dst = columns[i].append(dst, digits, &cells[i], z, r)
	}
	return append(dst, "</row>"...)
}
