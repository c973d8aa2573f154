package qiniu

import (
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// meter tells the caller of Put how much has been sent: at most every 100 ms, never less than
// before, and nothing any more once it is stopped.
type meter struct {
	mu         sync.Mutex
	tell       func(int64)
	now        func() time.Time
	sent, told int64
	size       int64
	last       time.Time
}

const progressEvery = 100 * time.Millisecond

func newMeter(size int64, tell func(int64), now func() time.Time) *meter {
	return &meter{tell: tell, now: now, size: size, last: now()}
}

// add counts n bytes as sent, or takes back those of a try that failed.
func (m *meter) add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent += n
	if m.tell == nil || m.sent <= m.told || m.sent >= m.size {
		return
	}
	if now := m.now(); now.Sub(m.last) >= progressEvery {
		m.last, m.told = now, m.sent
		m.tell(m.sent)
	}
}

// done tells that everything has been sent.
func (m *meter) done() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tell != nil {
		m.tell(m.size)
	}
}

func (m *meter) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tell = nil
}

// body is a part of the source on its way out, in one try. The transport may read it after the
// request has failed and seek it when it changes connections; once stopped it reads the source no
// more.
type body struct {
	mu      sync.Mutex
	section *io.SectionReader
	meter   *meter
	at, far int64 // position, and the farthest it has been
	failed  error // of the source
	stopped bool
}

var errStopped = errors.New("storage: the request is over")

func newBody(src io.ReaderAt, offset, length int64, m *meter) *body {
	return &body{section: io.NewSectionReader(src, offset, length), meter: m}
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return 0, errStopped
	}
	n, err := b.section.Read(p)
	b.at += int64(n)
	if b.at > b.far {
		b.meter.add(b.at - b.far)
		b.far = b.at
	}
	if err == io.EOF && b.at < b.section.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		b.failed = err
	}
	return n, err
}

func (b *body) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, err := b.section.Seek(offset, whence)
	if err == nil {
		b.at = at
	}
	return at, err
}

// Close does nothing: the transport closes a body that it may ask for again.
func (b *body) Close() error { return nil }

// stop ends the try and returns how the source failed, if it did. What a try that did not work had
// sent counts no more.
func (b *body) stop(worked bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	if !worked {
		b.meter.add(-b.far)
	}
	return b.failed
}

// digest is what the bytes of a part are known by.
type digest struct {
	md5    [md5.Size]byte
	blocks [][sha1.Size]byte // of each 4 MiB
}

// digestOf reads a part of the source.
func digestOf(src io.ReaderAt, offset, length int64) (digest, error) {
	var d digest
	whole, buf := md5.New(), make([]byte, 64<<10)
	for done := int64(0); done < length || length == 0 && done == 0 && d.blocks == nil; {
		n := min(length-done, block)
		h := sha1.New()
		read, err := io.CopyBuffer(io.MultiWriter(whole, h), onlyReader{io.NewSectionReader(src, offset+done, n)}, buf)
		if err == nil && read < n {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return digest{}, err
		}
		d.blocks = append(d.blocks, [sha1.Size]byte(h.Sum(nil)))
		done += n
	}
	whole.Sum(d.md5[:0])
	return d, nil
}

// onlyReader hides what would make a copy go around its buffer.
type onlyReader struct{ io.Reader }

// The first byte of a hash says how it was made.
const (
	hashSmall = 0x16 // the SHA-1 of up to 4 MiB
	hashLarge = 0x96 // the SHA-1 of the SHA-1s of each 4 MiB
)

// etag is Kodo's hash of an object made of these blocks.
func etag(blocks [][sha1.Size]byte) string {
	if len(blocks) == 1 {
		return base64.URLEncoding.EncodeToString(append([]byte{hashSmall}, blocks[0][:]...))
	}
	h := sha1.New()
	for _, b := range blocks {
		h.Write(b[:])
	}
	return base64.URLEncoding.EncodeToString(h.Sum([]byte{hashLarge}))
}

// ofBlocks reports whether a hash was made as etag makes it. Objects in parts of another size than
// 4 MiB have one that depends on the parts.
func ofBlocks(hash string) bool {
	raw, err := base64.URLEncoding.DecodeString(hash)
	return err == nil && len(raw) == 1+sha1.Size && (raw[0] == hashSmall || raw[0] == hashLarge)
}

// readError is an error of the caller's own source: no other try mends it.
func readError(key string, err error) error {
	return fmt.Errorf("storage: put %s: read the source: %w", key, err)
}
