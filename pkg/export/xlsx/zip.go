package xlsx

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"sync"
)

// archive writes a ZIP file that is only ever appended to, so that it can be sent while it is
// written: sizes and checksums follow each entry's data, as APPNOTE.TXT 4.3.9 has it. It never
// makes ZIP64 records, which WPS can't read; who uses it keeps the file below 4 GB.
type archive struct {
	w       io.Writer
	n       int64 // bytes of the file so far
	entries []entry
	scratch []byte
}

// entry is one file of the archive, as the directory at its end lists it.
type entry struct {
	name   string
	offset uint32
	crc    uint32
	packed int64
	size   int64
}

const (
	localHeader = 0x04034b50
	descriptor  = 0x08074b50
	dirHeader   = 0x02014b50
	dirEnd      = 0x06054b50

	zipVersion   = 20   // deflate and data descriptors
	zipFlags     = 0x08 // sizes and checksum stand behind the data
	methodPacked = 8

	// zipDate is 1980-01-01, the first day there is: the file tells no time, so that the same rows
	// give the same bytes.
	zipDate = 1<<5 | 1
)

func (a *archive) write(p []byte) error {
	n, err := a.w.Write(p)
	a.n += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return err
}

// begin opens the next entry. Names are ASCII.
func (a *archive) begin(name string) error {
	a.entries = append(a.entries, entry{name: name, offset: uint32(a.n)})
	b := binary.LittleEndian.AppendUint32(a.scratch[:0], localHeader)
	b = appendZipHead(b)
	b = append(b, make([]byte, 12)...) // checksum and sizes stand behind the data
	b = binary.LittleEndian.AppendUint16(b, uint16(len(name)))
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = append(b, name...)
	a.scratch = b
	return a.write(b)
}

// appendZipHead appends what a local header and a directory entry have in common.
func appendZipHead(b []byte) []byte {
	for _, v := range []uint16{zipVersion, zipFlags, methodPacked, 0, zipDate} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

// add appends a piece of the open entry: packed is its deflated form, whose pieces together are one
// deflate stream; crc and size are of what it was.
func (a *archive) add(packed []byte, crc uint32, size int64) error {
	e := &a.entries[len(a.entries)-1]
	// Pieces are made by different goroutines, none of which knows the checksum before its own.
	e.crc = combineCRC(e.crc, crc, size)
	e.packed += int64(len(packed))
	e.size += size
	return a.write(packed)
}

// end closes the open entry.
func (a *archive) end() error {
	e := a.entries[len(a.entries)-1]
	b := binary.LittleEndian.AppendUint32(a.scratch[:0], descriptor)
	a.scratch = appendSums(b, e)
	return a.write(a.scratch)
}

// appendSums appends checksum and sizes, in the order of all three records (APPNOTE.TXT 4.3.7,
// 4.3.9 and 4.3.12).
func appendSums(b []byte, e entry) []byte {
	b = binary.LittleEndian.AppendUint32(b, e.crc)
	b = binary.LittleEndian.AppendUint32(b, uint32(e.packed))
	return binary.LittleEndian.AppendUint32(b, uint32(e.size))
}

// finish writes the directory.
func (a *archive) finish() error {
	start := a.n
	b := a.scratch[:0]
	for _, e := range a.entries {
		b = binary.LittleEndian.AppendUint32(b, dirHeader)
		b = binary.LittleEndian.AppendUint16(b, zipVersion)
		b = appendSums(appendZipHead(b), e)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(e.name)))
		b = append(b, make([]byte, 12)...) // extra field, comment, disk, attributes
		b = binary.LittleEndian.AppendUint32(b, e.offset)
		b = append(b, e.name...)
	}
	size := len(b)
	b = binary.LittleEndian.AppendUint32(b, dirEnd)
	b = append(b, make([]byte, 4)...) // disks
	b = binary.LittleEndian.AppendUint16(b, uint16(len(a.entries)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(a.entries)))
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint32(b, uint32(start))
	b = binary.LittleEndian.AppendUint16(b, 0)
	a.scratch = b
	return a.write(b)
}

// combineCRC returns the CRC-32 of two texts one after the other from the CRC-32 of each and the
// second one's length. Appending zeros to a text is a linear map of its CRC over GF(2).
func combineCRC(first, second uint32, secondBytes int64) uint32 {
	powers := zeros()
	for i := 0; secondBytes > 0; i, secondBytes = i+1, secondBytes>>1 {
		if secondBytes&1 != 0 {
			first = powers[i].times(first)
		}
	}
	return first ^ second
}

// zeros are the maps of appending 1, 2, 4, 8, ... zero bytes.
var zeros = sync.OnceValue(func() *[63]matrix {
	var powers [63]matrix
	var bit matrix
	bit[0] = crc32.IEEE
	for i := range 31 {
		bit[i+1] = 1 << i
	}
	// From one bit to a byte.
	for range 3 {
		bit = bit.squared()
	}
	powers[0] = bit
	for i := range powers[1:] {
		powers[i+1] = powers[i].squared()
	}
	return &powers
})

// matrix is a linear map of 32 bits.
type matrix [32]uint32

func (m *matrix) times(v uint32) (sum uint32) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

// squared is the map applied twice: of appending twice as many zeros.
func (m *matrix) squared() (twice matrix) {
	for i := range m {
		twice[i] = m.times(m[i])
	}
	return twice
}
