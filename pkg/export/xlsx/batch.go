package xlsx

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/klauspost/compress/flate"

	"exporthub/pkg/dataset"
)

// A batch is full with so many cells, or so many bytes of text. What it holds decides where the
// compressed stream is cut, so that these are constants and not a matter of the machine.
const (
	batchCells = 8192
	batchText  = 512 << 10
)

// batch is a run of rows on its way into the file. One goroutine has it at a time: the caller fills
// it, a goroutine of the pipeline encodes and writes it and puts it back.
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
	packed []byte // deflated: a part of a stream, or its end when it is the last
	crc    uint32
	size   int64 // bytes of XML
	report dataset.Report

	// What it works with.
	zone    zone
	own     deflater
	places  []place
	general generalDeflater
	done    chan struct{} // closed once it is in the file
}

// reset makes a used batch as good as new.
func (b *batch) reset() {
	clear(b.cells) // lets go of the texts
	b.name = ""
	b.head = nil
	b.cells = b.cells[:0]
	b.text = 0
	b.rows = 0
	b.first = 0
	b.tail = nil
	b.last = false
	b.packed = nil
	b.crc = 0
	b.size = 0
	b.report = dataset.Report{}
	if cap(b.own.xml) > 8*batchText { // very long rows made it so
		b.own.xml, b.own.out = nil, nil
	}
}

// isFull counts cells as well as text: cells of numbers hold no text, and texts may be 32 KB each.
func (b *batch) isFull() bool { return len(b.cells) >= batchCells || b.text >= batchText }

// encode makes the batch's part of the compressed stream: by our own compressor, or by a general
// one at a level. The parts share no history, so that they can be made at once and in any order;
// each ends on a byte.
func (b *batch) encode(columns []column, level int) error {
	d := &b.own
	d.reset(len(columns))
	d.xml = append(d.xml, b.head...)
	// What stands before the rows is searched like any text; rows come with hints.
	if level == 0 {
		d.text(len(d.xml))
	}
	for i := range b.rows {
		at := len(d.xml)
		b.appendRow(columns, b.cells[i*len(columns):][:len(columns)], b.first+i)
		if level == 0 {
			b.compressRow(at)
		}
	}
	d.xml = append(d.xml, b.tail...)
	b.crc, b.size = crc32.ChecksumIEEE(d.xml), int64(len(d.xml))
	if level == 0 {
		d.finish(b.last)
		b.packed = d.out
		return nil
	}
	var err error
	b.packed, err = b.general.pack(d.xml, level, b.last)
	return err
}

// encodeSafely is encode, with a panic as an error that names the rows: a goroutine's would end the
// process, and with it the jobs of others, again and again.
func (b *batch) encodeSafely(columns []column, level int) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("xlsx: encode rows %d to %d: %v", b.first, b.first+b.rows-1, p)
		}
	}()
	return b.encode(columns, level)
}

// appendRow appends a row of data, and records in places where its cells are.
func (b *batch) appendRow(columns []column, cells []cell, row int) {
	var scratch [8]byte
	digits := strconv.AppendInt(scratch[:0], int64(row), 10) // at most 7
	dst := append(append(b.own.xml, `<row r="`...), digits...)
	head := place{digits: len(dst)}
	dst = append(dst, `">`...)
	head.value = len(dst)
	b.places = append(b.places[:0], head)
	for i := range cells {
		c := &columns[i]
		start := len(dst)
		dst = c.append(dst, digits, &cells[i], &b.zone, &b.report)
		if len(dst) == start { // an empty cell takes no place in the file
			continue
		}
		p := place{column: i + 1, digits: start + len(c.ref) + len(digits), value: len(dst) - len("</v></c>")}
		switch cells[i].op {
		case opShared:
			p.key = uint32(cells[i].num)<<8 + uint32(i) + 1
		case opText:
			p.text, p.value = true, len(dst)-len("</t></is></c>")
		}
		b.places = append(b.places, p)
	}
	b.own.xml = append(dst, "</row>"...)
}

// compressRow makes tokens of the row that was appended last. The end of the row before belongs to
// this row's first cell: there it is matched together with the beginning of the row.
func (b *batch) compressRow(start int) {
	joint := max(start-b.own.behind, 0)
	before := 0
	for _, p := range b.places {
		p.joint = joint
		b.own.cell(p, before)
		joint, before = p.value, p.digits
	}
	b.own.behind = len(b.own.xml) - joint
}

// generalDeflater compresses with klauspost/compress: what our own is compared with, and for who
// wants the smallest file.
type generalDeflater struct {
	out   bytes.Buffer
	flate *flate.Writer
}

// pack compresses in one piece. Flush ends it on a byte, so that the next piece can follow (RFC
// 1951, section 3.2.4).
func (g *generalDeflater) pack(xml []byte, level int, last bool) ([]byte, error) {
	g.out.Reset()
	if g.flate == nil {
		w, err := flate.NewWriter(&g.out, level)
		if err != nil {
			return nil, err
		}
		g.flate = w
	} else {
		g.flate.Reset(&g.out)
	}
	if _, err := g.flate.Write(xml); err != nil {
		return nil, err
	}
	var err error
	if last {
		err = g.flate.Close()
	} else {
		err = g.flate.Flush()
	}
	return g.out.Bytes(), err
}
