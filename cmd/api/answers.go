package main

import (
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// answerPatience is how long a client may take nothing of an answer. What the network and the
	// kernel hold for it comes on top, so a link that moves at all is not affected.
	answerPatience = 30 * time.Second
	// answerPiece is what has to be taken within answerPatience: about 2 KiB a second, as bodyRate.
	answerPiece = 64 << 10
)

// boundAnswers gives up answers that nobody reads: each piece of an answer has a deadline of its
// own, so that a download may take its time. The realtime endpoint has deadlines of its own.
func boundAnswers(patience time.Duration) func(next http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn := http.NewResponseController(w)
			// The connection may have the deadline of the answer before. One that can't have a
			// deadline is a test's.
			_ = conn.SetWriteDeadline(time.Time{})
			if !strings.HasPrefix(r.URL.Path, "/faye") {
				w = &boundAnswer{
					ResponseWriter: w,
					conn:           conn,
					patience:       patience,
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// boundAnswer moves the write deadline with every piece that is written.
type boundAnswer struct {
	http.ResponseWriter
	conn     *http.ResponseController
	patience time.Duration
}

// Unwrap lets http.ResponseController reach what is below.
func (b *boundAnswer) Unwrap() http.ResponseWriter { return b.ResponseWriter }

func (b *boundAnswer) advance() { _ = b.conn.SetWriteDeadline(time.Now().Add(b.patience)) }

// Write implements io.Writer, in pieces: the deadline is for a piece and not for a whole answer.
func (b *boundAnswer) Write(p []byte) (written int, err error) {
	for len(p) > answerPiece {
		b.advance()
		n, err := b.ResponseWriter.Write(p[:answerPiece])
		written += n
		if err != nil {
			return written, err
		}
		p = p[answerPiece:]
	}
	b.advance()
	n, err := b.ResponseWriter.Write(p)
	return written + n, err
}

// ReadFrom implements io.ReaderFrom, with which a file goes from the disk to the connection within
// the kernel.
func (b *boundAnswer) ReadFrom(r io.Reader) (read int64, err error) {
	for {
		b.advance()
		n, err := io.CopyN(b.ResponseWriter, r, answerPiece)
		read += n
		if err == io.EOF {
			return read, nil
		}
		if err != nil {
			return read, err
		}
	}
}
