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

// blockTokens is how many tokens share their Huffman codes.
const blockTokens = 1 << 16

// deflater compresses rows. Where a general compressor has to search for what repeats, this one is told: a row repeats
// the one before but for its values, a shared string its last use, a row's number the cell before. What it is told are
// places to look at only; a match is what was compared and found equal, so that a wrong hint costs space and never
// correctness.
type deflater struct {
	bitWriter
	xml []byte // all of it: matches look back into it
	at  int    // where what is not yet a token begins
	// behind is how much of a row stands behind its last value.
	behind int

	tokens    []uint32 // a byte, or matchFlag | length-3 << 16 | distance-1
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
	d.xml, d.at, d.behind = d.xml[:0], 0, 0
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

// codeOfLength and codeOfDistance hold symbol, number of extra bits and least value of lengths less 3 and of distances
// less 1; distances from 256 on are looked up by their high bits.
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
	// Lengths: four symbols for each number of extra bits from 1 on; the longest has a symbol of its own.
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
		n := min(until-d.at, blockTokens-len(d.tokens))
		for _, b := range d.xml[d.at : d.at+n] {
			d.tokens = append(d.tokens, uint32(b))
			d.literals[b]++
		}
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
	if len(d.tokens) >= blockTokens {
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

// cell makes tokens of a cell up to the end of its value. before is behind the row number of the cell before.
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

// middle makes tokens of what is left of the row number, and of what stands between it and the value.
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

// Text is looked up by its next four bytes.
const (
	textBits  = 13
	textBytes = 4
	// leastPlain is how long a match of ASCII text has to be: digits take fewer bits than a short match.
	leastPlain = 6
)

// text makes tokens up to there, searching for what repeats.
func (d *deflater) text(until int) {
	for i := d.at; i < until; {
		if i+textBytes > len(d.xml) {
			break
		}
		four := binary.LittleEndian.Uint32(d.xml[i:])
		last := &d.texts[four*0x9E3779B1>>(32-textBits)]
		from := int(*last)
		*last = int32(i)
		n := d.common(from, i)
		if n < textBytes || n < leastPlain && d.xml[i] < 0x80 {
			i++
			continue
		}
		d.literal(i)
		d.match(from, n)
		for i++; i < min(d.at, len(d.xml)-textBytes); i++ {
			d.texts[binary.LittleEndian.Uint32(d.xml[i:])*0x9E3779B1>>(32-textBits)] = int32(i)
		}
		i = d.at
	}
	d.literal(until)
}

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
	for _, t := range d.tokens {
		if t&matchFlag == 0 {
			c := literals[t]
			d.put(uint64(c.bits), uint(c.n))
			if d.have >= 33 {
				d.settle()
			}
			continue
		}
		length := &codeOfLength[t>>16&0xFF]
		c := literals[length.symbol]
		d.put(uint64(c.bits), uint(c.n))
		d.put(uint64(t>>16&0xFF-uint32(length.least)), uint(length.extra))
		if d.have >= 16 {
			d.settle()
		}
		less1 := t & (window - 1)
		distance := distanceSymbol(less1)
		c = distances[distance.symbol]
		d.put(uint64(c.bits), uint(c.n))
		d.put(uint64(less1-uint32(distance.least)), uint(distance.extra))
		d.settle()
	}
	d.put(uint64(literals[endOfBlock].bits), uint(literals[endOfBlock].n))
	d.settle()
	d.tokens = d.tokens[:0]
	clear(d.literals[:])
	clear(d.distances[:])
}
