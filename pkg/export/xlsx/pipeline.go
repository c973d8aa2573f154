package xlsx

import (
	"sync/atomic"

	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
)

// maxWorkers bounds the memory of a file on a machine of many cores: a worker has about 1.3 MB.
const maxWorkers = 16

// pipeline encodes and deflates batches on several goroutines and writes them in the order they
// were sent.
//
// A goroutine lives for one batch: it encodes it, waits until the one before is in the file, writes
// its own, and puts the batch back. There are workers+1 batches, one for the caller to fill; a
// caller who is ahead waits for one to come back, which bounds memory and goroutines alike. The
// goroutines wait for nothing but each other and the file, so that a pipeline that is dropped
// leaves none behind; wait returns when there are none.
type pipeline struct {
	archive *archive // of the goroutine whose turn it is; the caller's after wait
	limits  limits
	columns []column
	expect  int64 // rows in the whole file, 0 when unknown

	free   chan *batch
	before chan struct{}         // done of the batch sent last
	failed atomic.Pointer[error] // the first error, set in the file's order
	report dataset.Report        // of what is in the file; guarded as archive
}

var errDropped = errs.New(errs.Invalid, "文件已放弃")

func newPipeline(a *archive, s dataset.Sheet, l limits, columns []column) *pipeline {
	p := &pipeline{archive: a, limits: l, columns: columns, expect: s.Rows, free: make(chan *batch, l.workers+1)}
	for range cap(p.free) {
		p.free <- &batch{zone: zone{location: s.Location}}
	}
	// The first batch waits for nothing.
	p.before = make(chan struct{})
	close(p.before)
	return p
}

// next returns an empty batch, when there is one.
func (p *pipeline) next() *batch {
	b := <-p.free
	b.reset()
	return b
}

// send hands a batch over. Its errors come out of err.
func (p *pipeline) send(b *batch) {
	before := p.before
	b.done = make(chan struct{})
	p.before = b.done
	go p.work(b, before)
}

// work encodes a batch and writes it when the one before is in the file. After the first failure,
// in the file's order, batches only pass through, so that everybody who waits is served.
func (p *pipeline) work(b *batch, before <-chan struct{}) {
	var err error
	if p.failed.Load() == nil {
		err = b.encodeSafely(p.columns, p.limits.level)
	}
	<-before
	if p.failed.Load() == nil {
		if err == nil {
			err = p.write(b)
		}
		if err != nil {
			p.failed.CompareAndSwap(nil, &err)
		}
	}
	done := b.done
	p.free <- b // never waits: there is room for all
	close(done)
}

// write puts a batch into the file. Only the goroutine whose turn it is calls it, so the archive
// and the report need no lock.
func (p *pipeline) write(b *batch) error {
	if b.name != "" {
		if err := p.archive.begin(b.name); err != nil {
			return err
		}
	}
	if err := p.archive.add(b.packed, b.crc, b.size); err != nil {
		return err
	}
	p.report.Rows += int64(b.rows)
	p.report.Cut += b.report.Cut
	p.report.Replaced += b.report.Replaced
	p.report.OutOfSpan += b.report.OutOfSpan
	if b.last {
		if err := p.archive.end(); err != nil {
			return err
		}
	}
	return p.checkSize()
}

// A projection is believed from so many bytes on, and refuses what would be so much too long.
const (
	projectFrom   = 1.0 / 64 // of the limit
	projectMargin = 1.25
)

// checkSize refuses a file that passes the limit, or surely will: a user should learn that after
// seconds and not after minutes.
func (p *pipeline) checkSize() error {
	n, limit := float64(p.archive.n), float64(p.limits.archiveBytes)
	tooLong := n > limit
	if p.expect > 0 && p.report.Rows > 0 && n > limit*projectFrom {
		tooLong = tooLong || n/float64(p.report.Rows)*float64(p.expect) > limit*projectMargin
	}
	if !tooLong {
		return nil
	}
	return errs.New(errs.TooLarge, "文件将超过 Excel 能打开的 4 GB，请减少列、缩小筛选范围，或改用 CSV")
}

// err returns what went wrong with a batch sent before, if anything is known yet. It does not wait.
func (p *pipeline) err() error {
	if e := p.failed.Load(); e != nil {
		return *e
	}
	return nil
}

// wait returns when every batch is in the file, or none will be any more.
func (p *pipeline) wait() error {
	<-p.before
	return p.err()
}

// drop gives the file up and waits until no goroutine writes to it.
func (p *pipeline) drop() {
	p.failed.CompareAndSwap(nil, new(error(errDropped)))
	<-p.before
}
