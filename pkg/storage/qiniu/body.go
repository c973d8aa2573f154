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

// meter reports to the caller of Put how much has been sent: at most every 100 ms, never less than
// before, and nothing any more once it is stopped.
type meter struct {
	mu       sync.Mutex
	report   func(int64)
	now      func() time.Time
	sent     int64 // less than reported while a failed part is sent again
	reported int64
	size     int64
	last     time.Time
}

const progressEvery = 100 * time.Millisecond

func newMeter(size int64, report func(int64), now func() time.Time) *meter {
	return &meter{report: report, now: now, size: size, last: now()}
}

// add counts n bytes as sent, or takes back those of a try that failed.
func (m *meter) add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent += n
	// The size itself is reported by done only: before it the object is not confirmed.
	if m.report == nil || m.sent <= m.reported || m.sent >= m.size {
		return
	}
	if now := m.now(); now.Sub(m.last) >= progressEvery {
		m.last, m.reported = now, m.sent
		// Under the lock, so that two parts can't report in the wrong order.
		m.report(m.sent)
	}
}

// done reports that everything has been sent.
func (m *meter) done() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.report != nil {
		m.report(m.size)
	}
}

// stop ends the reports. The transport may read a body a little longer than its request lives, and
// the caller of Put must not be called after Put has returned.
func (m *meter) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.report = nil
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
	// A body that is read again after a change of connections counts once.
	if b.at > b.far {
		b.meter.add(b.at - b.far)
		b.far = b.at
	}
	// The source was cut short while it was read. Passed on as io.EOF, the request would end with
	// fewer bytes than announced and look like a fault of the network.
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

// digest is what the bytes of a part are known by: the MD5 that Kodo checks and answers, and the
// SHA-1s of which the hash of the whole object is made.
type digest struct {
	md5    [md5.Size]byte
	blocks [][sha1.Size]byte // of each 4 MiB
}

// digestOf reads a part of the source. It is read once more when it is sent: keeping it would hold
// a whole part in memory for each one under way, and the file is in the page cache.
func digestOf(src io.ReaderAt, offset, length int64) (digest, error) {
	var d digest
	whole, buf := md5.New(), make([]byte, 64<<10)
	// An empty object has one empty block, as Kodo counts.
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

// etag is Kodo's hash of an object made of these blocks
// (https://developer.qiniu.com/kodo/1231/appendix).
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
