package xlsx

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// The alphabets of DEFLATE (RFC 1951, section 3.2.5).
const (
	literalSymbols  = 286
	distanceSymbols = 30
	endOfBlock      = 256

	maxBits       = 15 // of a code
	maxLengthBits = 7  // of a code length's code
)

// code is a symbol's bits, in the order they are written, and their number.
type code struct {
	bits uint16
	n    uint8
}

// bitWriter appends bits, the least significant first (RFC 1951, section 3.1.1).
type bitWriter struct {
	out  []byte
	acc  uint64
	have uint // bits in acc
}

// put appends n bits; at most 48 may be put between two calls of settle.
func (w *bitWriter) put(v uint64, n uint) {
	w.acc |= v << w.have
	w.have += n
}

// settle moves whole bytes out. It appends eight and takes back those that are not whole: one store
// instead of a loop.
func (w *bitWriter) settle() {
	w.out = binary.LittleEndian.AppendUint64(w.out, w.acc)
	whole := w.have / 8
	w.out = w.out[:len(w.out)-8+int(whole)]
	w.acc >>= whole * 8
	w.have &= 7
}

// align fills the last byte with zeros, so that the next part of the stream begins on a byte.
func (w *bitWriter) align() {
	w.have = (w.have + 7) &^ 7
	w.settle()
}

// makeCodes gives each symbol with a frequency the canonical Huffman code of its length (section
// 3.2.2), and returns how many symbols there are up to the last used one.
func makeCodes(codes []code, frequencies []uint32, limit int) (used int) {
	var scratch [literalSymbols]uint64
	sorted := scratch[:0]
	for symbol, f := range frequencies {
		codes[symbol] = code{}
		if f > 0 {
			sorted = append(sorted, uint64(f)<<16|uint64(symbol))
			used = symbol + 1
		}
	}
	// Frequency first, then symbol: equal frequencies have one order, and the file one form.
	slices.Sort(sorted)
	counts := codeCounts(sorted, limit)
	at := 0
	for n := limit; n > 0; n-- { // the rarest symbols have the longest codes
		for range counts[n] {
			codes[sorted[at]&0xFFFF].n = uint8(n)
			at++
		}
	}
	var next [maxBits + 2]uint16
	for n := 1; n <= limit; n++ {
		next[n+1] = (next[n] + uint16(counts[n])) << 1
	}
	for i := range codes[:used] {
		if c := &codes[i]; c.n > 0 {
			c.bits = bits.Reverse16(next[c.n]) >> (16 - c.n)
			next[c.n]++
		}
	}
	return used
}

// codeCounts returns how many codes of each length a Huffman tree of the frequencies (in the high
// bits, ascending) has, none longer than limit.
func codeCounts(sorted []uint64, limit int) (counts [literalSymbols]int) {
	n := len(sorted)
	if n < 2 { // no tree: none, or one symbol with a code of one bit
		counts[1] = n // a code of no bits would mean that there is none
		return counts
	}
	var weights, parents [2 * literalSymbols]uint32
	for i, s := range sorted {
		weights[i] = uint32(s >> 16)
	}
	// Two queues: the leaves, and the inner nodes, which come out in ascending order by themselves.
	leaf, inner := 0, n
	for made := n; made < 2*n-1; made++ {
		for range 2 {
			child := leaf
			if leaf >= n || inner < made && weights[inner] < weights[leaf] {
				child = inner
				inner++
			} else {
				leaf++
			}
			weights[made] += weights[child]
			parents[child] = uint32(made)
		}
	}
	var depths [2 * literalSymbols]uint16
	for i := 2*n - 3; i >= 0; i-- {
		depths[i] = depths[parents[i]] + 1
		if i < n {
			counts[min(int(depths[i]), limit)]++
		}
	}
	// Cutting long codes used up more than there is; a shorter code made one longer gives some
	// back.
	room := 0
	for l := 1; l <= limit; l++ {
		room += counts[l] << (limit - l)
	}
	for ; room > 1<<limit; room-- {
		l := limit - 1
		for counts[l] == 0 {
			l--
		}
		counts[l]--
		counts[l+1] += 2
		counts[limit]--
	}
	return counts
}

// lengthOrder is the order in which the lengths of the code lengths' codes are written (section
// 3.2.7).
var lengthOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// putHeader writes the head of a block with codes of its own (RFC 1951, section 3.2.7): the lengths
// of the codes, themselves run-length and Huffman coded.
func (w *bitWriter) putHeader(literals, distances []code, final bool) {
	var runs []lengthRun
	var scratch [literalSymbols + distanceSymbols]uint8
	lengths := scratch[:0]
	for _, c := range literals {
		lengths = append(lengths, c.n)
	}
	for _, c := range distances {
		lengths = append(lengths, c.n)
	}
	runs = appendRuns(make([]lengthRun, 0, len(lengths)), lengths)
	var frequencies [19]uint32
	for _, r := range runs {
		frequencies[r.symbol]++
	}
	var codes [19]code
	makeCodes(codes[:], frequencies[:], maxLengthBits)
	// The rarest stand last; those that are not used at the end are left out.
	written := len(lengthOrder)
	for written > 4 && codes[lengthOrder[written-1]].n == 0 {
		written--
	}
	head := uint64(2 << 1) // codes of its own
	if final {
		head |= 1
	}
	w.put(head, 3)
	w.put(uint64(len(literals)-257), 5)
	w.put(uint64(len(distances)-1), 5)
	w.put(uint64(written-4), 4)
	w.settle()
	for _, symbol := range lengthOrder[:written] {
		w.put(uint64(codes[symbol].n), 3)
		w.settle()
	}
	for _, r := range runs {
		c := codes[r.symbol]
		w.put(uint64(c.bits), uint(c.n))
		w.put(uint64(r.extra), uint(r.bits))
		w.settle()
	}
}

// lengthRun is one or more code lengths.
type lengthRun struct{ symbol, extra, bits uint8 }

// appendRuns encodes code lengths, repetitions as runs: 16 repeats the length before 3 to 6 times,
// 17 and 18 are 3 to 10 and 11 to 138 zeros (section 3.2.7).
func appendRuns(runs []lengthRun, lengths []uint8) []lengthRun {
	for i := 0; i < len(lengths); {
		l, n := lengths[i], 1
		for i+n < len(lengths) && lengths[i+n] == l {
			n++
		}
		i += n
		if l != 0 {
			runs = append(runs, lengthRun{symbol: l})
			n--
		}
		for n >= 3 {
			switch {
			case l != 0:
				k := min(n, 6)
				runs = append(runs, lengthRun{16, uint8(k - 3), 2})
				n -= k
			case n <= 10:
				runs = append(runs, lengthRun{17, uint8(n - 3), 3})
				n = 0
			default:
				k := min(n, 138)
				runs = append(runs, lengthRun{18, uint8(k - 11), 7})
				n -= k
			}
		}
		for range n {
			runs = append(runs, lengthRun{symbol: l})
		}
	}
	return runs
}
