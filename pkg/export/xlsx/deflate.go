package xlsx

import (
	"encoding/binary"
	"math/bits"
)

// What a match of DEFLATE can be (RFC 1951, section 3.2.5).
const (
	leastMatch   = 3
	longestMatch = 258
	window       = 32 << 10
)

// A block, whose tokens share their Huffman codes, ends with so many tokens, or bytes.
const (
	blockTokens = 1 << 15
	blockBytes  = 1 << 19
)

// deflater compresses rows. Where a general compressor has to search for what repeats, this one
// gets hints: a row repeats the one before but for its values, a shared string its last use, a
// row's number the cell before. Hints are places to compare with only; a match is what was compared
// and found equal, so that a wrong hint costs space and never correctness.
type deflater struct {
	bitWriter
	xml []byte // all of it: matches look back into it
	at  int    // where what is not yet a token begins
	// behind is how much of a row stands behind its last value.
	behind int

	tokens    []uint32 // so many literal bytes, or matchFlag | length-3 << 16 | distance-1
	begun     int      // where the first of them begins
	literals  [literalSymbols]uint32
	distances [distanceSymbols]uint32

	// Hints: places in xml, 0 when there is none.
	cells  []cellHint           // by column, the row's head first
	shared [1 << 13]int32       // by column and string
	texts  [1 << textBits]int32 // by four bytes
}

// cellHint is where a column's last cell stood. Two places, since what stands before the row's
// number and what stands behind it repeat, while the number itself never does.
type cellHint struct {
	joint  int32 // behind the value before it
	digits int32 // behind its row number
}

const matchFlag = 1 << 31

func (d *deflater) reset(columns int) {
	d.out = d.out[:0]
	d.acc = 0
	d.have = 0
	d.xml = d.xml[:0]
	d.at = 0
	d.begun = 0
	d.behind = 0
	d.tokens = d.tokens[:0]
	clear(d.literals[:])
	clear(d.distances[:])
	clear(d.shared[:])
	clear(d.texts[:])
	if len(d.cells) != columns+1 {
		d.cells = make([]cellHint, columns+1)
	}
	clear(d.cells)
}

// literal makes the bytes up to there literals. One token stands for a run of them: that keeps
// tokens few, and their bytes are in xml anyway.
func (d *deflater) literal(until int) {
	for d.at < until {
		// In pieces, since no block may hold more.
		n := min(until-d.at, blockBytes)
		for _, b := range d.xml[d.at : d.at+n] {
			d.literals[b]++
		}
		d.tokens = append(d.tokens, uint32(n))
		d.at += n
		d.room()
	}
}

// match makes the next n bytes a match of what stands at from.
func (d *deflater) match(from, n int) {
	length, distance := uint32(n-leastMatch), uint32(d.at-from-1)
	d.tokens = append(d.tokens, matchFlag|length<<16|distance)
	d.literals[codeOfLength[length].symbol]++
	d.distances[distanceSymbol(distance).symbol]++
	d.at += n
	d.room()
}

// room ends the block when it is full.
func (d *deflater) room() {
	if len(d.tokens) >= blockTokens || d.at-d.begun >= blockBytes {
		d.block(false)
	}
}

// common returns how many bytes at from are those at to; none when from can't be matched: it is no
// place, not before to, or out of DEFLATE's window.
func (d *deflater) common(from, to int) int {
	if from <= 0 || from >= to || to-from > window {
		return 0
	}
	a, b := d.xml[from:], d.xml[to:]
	most := min(len(b), longestMatch)
	n := 0
	// Eight bytes at a time; the first that differ are the lowest bits that are set.
	for ; n+8 <= most; n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
	}
	for n < most && a[n] == b[n] {
		n++
	}
	return n
}

// place is where the parts of a cell stand: hints, all of them.
type place struct {
	column int    // from 1 on; 0 is the row's head
	joint  int    // behind the value before
	digits int    // behind the row number
	value  int    // behind the value
	key    uint32 // of the shared string, 0 when it is none
	text   bool   // the value is text of its own
}

// cell makes tokens of a cell up to the end of its value. before is behind the row number of the
// cell before.
func (d *deflater) cell(p place, before int) {
	hint := &d.cells[p.column]
	if d.at < p.digits {
		from := int(hint.joint) + d.at - p.joint
		if n := d.common(from, d.at); hint.joint > 0 && n > leastMatch {
			d.match(from, n)
		}
	}
	d.middle(hint, p, before)
	*hint = cellHint{int32(p.joint), int32(p.digits)}
	switch {
	case d.at >= p.value:
	case p.text:
		d.text(p.value)
	default:
		d.literal(p.value)
	}
}

// middle makes tokens of what is left of the row number, and of what stands between it and the
// value. Of two places to match it takes the one that reaches farther: the column's last cell, or
// the last cell with the same shared string, which also has the value alike.
func (d *deflater) middle(hint *cellHint, p place, before int) {
	start := max(d.at, p.digits)
	skip := start - p.digits
	from := int(hint.digits) + skip
	n := 0
	if hint.digits > 0 {
		n = d.common(from, start)
	}
	if p.key != 0 {
		last := &d.shared[p.key*0x9E3779B1>>(32-13)]
		if *last > 0 {
			if m := d.common(int(*last)+skip, start); m > n+1 {
				from, n = int(*last)+skip, m
			}
		}
		*last = int32(p.digits)
	}
	if left := p.digits - d.at; left > 0 {
		near := before - left
		if m := d.common(near, d.at); m > leastMatch && (left > 2 || m >= left+n) {
			d.match(near, m)
			moved := max(d.at-start, 0)
			from, n = from+moved, n-moved
		} else {
			d.literal(p.digits)
		}
		if d.at < p.digits { // the row number was not all alike
			d.literal(p.digits)
		}
	}
	if n > leastMatch {
		d.match(from, n)
	}
}

// Text is looked up by its next four bytes, where a character begins that is no digit: numbers take
// fewer bits as they are than as short matches.
const (
	textBits   = 13
	textBytes  = 4
	leastASCII = 6 // the shortest match of ASCII text
)

func (d *deflater) textHint(i int) *int32 {
	return &d.texts[binary.LittleEndian.Uint32(d.xml[i:])*0x9E3779B1>>(32-textBits)]
}

// text makes tokens up to there, searching for what repeats. It looks at one place for each four
// bytes, the latest. A wider search, as general compressors have, would make the file smaller and
// this, the larger part of the time, longer.
func (d *deflater) text(until int) {
	end := min(until, len(d.xml)-textBytes+1)
	for i := d.at; i < end; {
		step := int(steps[d.xml[i]])
		if step == 0 {
			i++
			continue
		}
		hint := d.textHint(i)
		from := int(*hint)
		*hint = int32(i)
		n := d.common(from, i)
		if n < textBytes || n < leastASCII && step == 1 {
			i += step
			continue
		}
		d.literal(i)
		d.match(from, n)
		// What was matched can be matched again, so its characters are noted too.
		for i += step; i < min(d.at, end); i += max(int(steps[d.xml[i]]), 1) {
			if steps[d.xml[i]] > 0 {
				*d.textHint(i) = int32(i)
			}
		}
		i = d.at
	}
	d.literal(until)
}

// steps is how many bytes a character has by its first; 0 for what no match begins with.
var steps = func() (t [256]uint8) {
	for b := range t {
		switch {
		case b < 0x80:
			t[b] = 1
		case b >= 0xF0:
			t[b] = 4
		case b >= 0xE0:
			t[b] = 3
		case b >= 0xC0:
			t[b] = 2
		}
	}
	for b := '0'; b <= '9'; b++ {
		t[b] = 0
	}
	return t
}()
