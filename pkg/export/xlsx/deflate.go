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

// deflater compresses rows. Where a general compressor has to search for what repeats, this one is
// told: a row repeats the one before but for its values, a shared string its last use, a row's
// number the cell before. What it is told are places to look at only; a match is what was compared
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

// cellHint is where a column's last cell stood.
type cellHint struct {
	joint  int32 // behind the value before it
	digits int32 // behind its row number
}

const matchFlag = 1 << 31

func (d *deflater) reset(columns int) {
	d.out, d.acc, d.have = d.out[:0], 0, 0
	d.xml, d.at, d.begun, d.behind = d.xml[:0], 0, 0, 0
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

// codeOfLength and codeOfDistance hold symbol, number of extra bits and least value of lengths less
// 3 and of distances less 1; distances from 256 on are looked up by their high bits.
var (
	codeOfLength   [256]symbol
	codeOfDistance [512]symbol
)

type symbol struct {
	symbol uint16
	extra  uint8
	least  uint16
}

func init() {
	// Lengths: four symbols for each number of extra bits from 1 on; the longest has a symbol of
	// its own.
	for i := range 255 {
		extra := max(bits.Len(uint(i))-3, 0)
		group := i >> extra
		codeOfLength[i] = symbol{uint16(257 + 4*extra + group), uint8(extra), uint16(group << extra)}
	}
	codeOfLength[255] = symbol{285, 0, 255}
	// Distances: two symbols for each.
	distance := func(i int) symbol {
		extra := max(bits.Len(uint(i))-2, 0)
		group := i >> extra
		return symbol{uint16(2*extra + group), uint8(extra), uint16(group << extra)}
	}
	for i := range 256 {
		codeOfDistance[i] = distance(i)
		codeOfDistance[256+i] = distance(i << 7)
	}
}

func distanceSymbol(less1 uint32) *symbol {
	if less1 < 256 {
		return &codeOfDistance[less1]
	}
	return &codeOfDistance[256+less1>>7]
}

// literal makes the bytes up to there literals.
func (d *deflater) literal(until int) {
	for d.at < until {
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

func (d *deflater) room() {
	if len(d.tokens) >= blockTokens || d.at-d.begun >= blockBytes {
		d.block(false)
	}
}

// common returns how many bytes at from are those at to; none when from can't be matched.
func (d *deflater) common(from, to int) int {
	if from <= 0 || from >= to || to-from > window {
		return 0
	}
	a, b := d.xml[from:], d.xml[to:]
	most := min(len(b), longestMatch)
	n := 0
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
// value.
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

// text makes tokens up to there, searching for what repeats.
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

// finish makes the stream end on a byte: for good, or so that another part can follow.
func (d *deflater) finish(last bool) {
	d.text(len(d.xml))
	if last || len(d.tokens) > 0 {
		d.block(last)
	}
	if !last { // an empty stored block (section 3.2.4)
		d.put(0, 3)
	}
	d.align()
	if !last {
		d.out = append(d.out, 0, 0, 0xFF, 0xFF)
	}
}

// block writes the tokens as a block.
func (d *deflater) block(last bool) {
	d.literals[endOfBlock]++
	var literals [literalSymbols]code
	var distances [distanceSymbols]code
	usedLiterals := makeCodes(literals[:], d.literals[:], maxBits)
	usedDistances := makeCodes(distances[:], d.distances[:], maxBits)
	if usedDistances == 0 { // some readers want one
		usedDistances, distances[0] = 1, code{n: 1}
	}
	d.putHeader(literals[:usedLiterals], distances[:usedDistances], last)
	d.putTokens(&literals, &distances)
	d.put(uint64(literals[endOfBlock].bits), uint(literals[endOfBlock].n))
	d.settle()
	d.tokens, d.begun = d.tokens[:0], d.at
	clear(d.literals[:])
	clear(d.distances[:])
}

// putTokens writes what the tokens stand for. Its variables are copies: this is where the time
// goes.
func (d *deflater) putTokens(literals *[literalSymbols]code, distances *[distanceSymbols]code) {
	type wide struct{ bits, n uint32 }
	var bytes, lengths [256]wide // lengths with their extra bits
	for i := range lengths {
		bytes[i] = wide{uint32(literals[i].bits), uint32(literals[i].n)}
		s := codeOfLength[i]
		c := literals[s.symbol]
		lengths[i] = wide{uint32(c.bits) | uint32(i-int(s.least))<<c.n, uint32(c.n + s.extra)}
	}
	out, acc, have := d.out, d.acc, uint32(d.have)
	at := d.begun
	for _, t := range d.tokens {
		if t&matchFlag == 0 {
			for _, b := range d.xml[at : at+int(t)] {
				c := bytes[b]
				acc |= uint64(c.bits) << have
				if have += c.n; have >= 48 {
					out = append(out, byte(acc), byte(acc>>8), byte(acc>>16), byte(acc>>24), byte(acc>>32), byte(acc>>40))
					acc, have = acc>>48, have-48
				}
			}
			at += int(t)
			continue
		}
		if have >= 16 { // room for the 48 bits of a match
			out = binary.LittleEndian.AppendUint64(out, acc)
			whole := have >> 3
			out = out[:len(out)-8+int(whole)]
			acc, have = acc>>(whole*8), have&7
		}
		length := t >> 16 & 0xFF
		at += int(length) + leastMatch
		c := lengths[length]
		less1 := t & (window - 1)
		s := distanceSymbol(less1)
		far := distances[s.symbol]
		acc |= uint64(c.bits) << have
		have += c.n
		acc |= (uint64(far.bits) | uint64(less1-uint32(s.least))<<far.n) << have
		have += uint32(far.n + s.extra)
		if have >= 48 {
			out = append(out, byte(acc), byte(acc>>8), byte(acc>>16), byte(acc>>24), byte(acc>>32), byte(acc>>40))
			acc, have = acc>>48, have-48
		}
	}
	d.out, d.acc, d.have = out, acc, uint(have)
	d.settle()
}
