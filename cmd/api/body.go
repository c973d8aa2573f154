package main

import (
	"io"
	"net/http"
	"time"
)

// bodySilence is how long a client may send nothing of a body it has announced.
const bodySilence = 30 * time.Second

// boundBodies cuts clients that announce a body and do not send it. The deadline moves with what
// arrives, so that a long upload may take its time, and ends with the body, so that a held poll is
// not cut.
func boundBodies(silence time.Duration) func(next http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Body != nil && r.Body != http.NoBody {
				b := &boundBody{ReadCloser: r.Body, conn: http.NewResponseController(w), silence: silence}
				b.extend(time.Now().Add(silence))
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
}

func (b *boundBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.extend(time.Time{})
	} else {
		b.extend(time.Now().Add(b.silence))
	}
	return n, err
}

// extend moves the deadline; a connection that can't have one is a test's.
func (b *boundBody) extend(until time.Time) { _ = b.conn.SetReadDeadline(until) }
