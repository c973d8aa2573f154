package main

import (
	"io"
	"net/http"
	"time"
)

const (
	// bodySilence is how long a client may send nothing of a body it has announced.
	bodySilence = 30 * time.Second
	// bodyGrace is how long a body may take that is slower than bodyRate, in bytes a second.
	// Together they bound a body as a whole: a byte every 20 s would otherwise hold a connection
	// and its buffers for ever. The rate is far below any link on which a page can be used.
	bodyGrace = 15 * time.Second
	bodyRate  = 2 << 10
)

// boundBodies cuts clients that announce a body and do not send it. The deadline moves with what
// arrives, so that a long upload may take its time, and ends with the body, so that a held poll is
// not cut.
func boundBodies(silence time.Duration) func(next http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Body != nil && r.Body != http.NoBody {
				b := &boundBody{
					ReadCloser: r.Body,
					conn:       http.NewResponseController(w),
					silence:    silence,
					whole:      time.Now().Add(bodyGrace),
				}
				b.advance(0)
				r.Body = b
			}
			next.ServeHTTP(w, r)
		})
	}
}

type boundBody struct {
	io.ReadCloser
	conn    *http.ResponseController
	silence time.Duration
	whole   time.Time // when the body has to be complete, later with each byte that came
}

func (b *boundBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.extend(time.Time{})
	} else {
		b.advance(n)
	}
	return n, err
}

// advance moves the deadlines after n more bytes. The earlier of the two counts.
func (b *boundBody) advance(n int) {
	b.whole = b.whole.Add(time.Duration(n) * time.Second / bodyRate)
	until := time.Now().Add(b.silence)
	if b.whole.Before(until) {
		until = b.whole
	}
	b.extend(until)
}

// extend moves the deadline; a connection that can't have one is a test's.
func (b *boundBody) extend(until time.Time) { _ = b.conn.SetReadDeadline(until) }
