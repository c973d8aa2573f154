package xlsx

import (
	"encoding/binary"
	"math/bits"
)

// codeOfLength and codeOfDistance hold symbol, number of extra bits and least value of lengths less
// 3 and of distances less 1; distances from 256 on are looked up by their high bits.
var (
	codeOfLength   [256]symbol
	codeOfDistance [512]symbol
)

// symbol is how DEFLATE writes a length or a distance: a symbol, and how far beyond its least
// value, in so many bits.
type symbol struct {
	symbol uint16
	extra  uint8
	least  uint16
}

func init() {
	// Lengths: four symbols for each number of extra bits from 1 on; the longest has a symbol of
	// its own.
	// Both tables are of RFC 1951, section 3.2.5, in the form that a lookup wants.
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

// distanceSymbol is inlined; a table of all 32,768 distances would not fit the processor's first
// cache.
func distanceSymbol(less1 uint32) *symbol {
	if less1 < 256 {
		return &codeOfDistance[less1]
	}
	return &codeOfDistance[256+less1>>7]
}

// finish makes the stream end on a byte: for good, or so that another part can follow. An empty
// stored block is how zlib's Z_SYNC_FLUSH does it, so every reader knows it.
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

// block writes the tokens as a block with Huffman codes of its own, made from exactly the tokens
// that it holds. Fixed codes and stored blocks are not tried: rows are alike, and blocks long.
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
	out := d.out
	acc, have := d.acc, uint32(d.have)
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
	d.out = out
	d.acc, d.have = acc, uint(have)
	d.settle()
}
