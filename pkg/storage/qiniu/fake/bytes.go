package fake

import (
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"hash/crc32"
	"io"
	"os"
)

// blockBytes is what Kodo hashes an object by.
const blockBytes = 4 << 20

// bytesIn is what was received: a file on disk, since objects may be larger than a test's memory,
// and every sum that a client may have sent along.
type bytesIn struct {
	file string
	size int64
	md5  string
	crc  uint32
	sums [][]byte // SHA-1 of each 4 MiB
}

// receive writes a body to a new file. With damage set, the last byte is another, and so is the
// hash that is answered: Kodo can only know what it has stored. The file is removed when the body
// breaks.
func (s *Server) receive(r io.Reader, damage bool) (in bytesIn, err error) {
	f, err := s.newFile()
	if err != nil {
		return in, err
	}
	in.file = f.Name()
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(in.file)
		}
	}()
	sum, crc := md5.New(), crc32.NewIEEE()
	// One pass for all sums. Blocks are hashed one by one, as the hash of the whole wants them.
	for {
		h := sha1.New()
		n, err := io.Copy(io.MultiWriter(f, sum, crc, h), io.LimitReader(r, blockBytes))
		in.size += n
		if err != nil {
			return in, err
		}
		// An empty body has one empty block, and one that ends with a full block no other.
		if n > 0 || in.sums == nil {
			in.sums = append(in.sums, h.Sum(nil))
		}
		if n < blockBytes {
			break
		}
	}
	in.md5, in.crc = hex.EncodeToString(sum.Sum(nil)), crc.Sum32()
	if damage && in.size > 0 {
		if _, err := f.WriteAt([]byte("?"), in.size-1); err != nil {
			return in, err
		}
		in.sums[len(in.sums)-1] = sha1.New().Sum(nil)
	}
	return in, nil
}

// hashOf is Kodo's hash of blocks of 4 MiB: the first byte says whether the SHA-1 behind it is of
// the one block, or of the SHA-1s of several.
func hashOf(sums [][]byte) string {
	if len(sums) == 1 {
		return base64.URLEncoding.EncodeToString(append([]byte{0x16}, sums[0]...))
	}
	return base64.URLEncoding.EncodeToString(append([]byte{0x96}, sumOf(sums)...))
}

func sumOf(sums [][]byte) []byte {
	h := sha1.New()
	for _, one := range sums {
		h.Write(one)
	}
	return h.Sum(nil)
}

// wrongHash is what Lie answers: of the right form, and of nothing.
const wrongHash = "FlieFlieFlieFlieFlieFlieFlie"
