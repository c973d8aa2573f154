package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Answers that nobody reads end, each connection of them, whichever way they are written; those
// who read get theirs.
func TestAnswersThatNobodyReadsAreGivenUp(t *testing.T) {
	const size = 64 << 20 // more than any kernel holds for a connection
	const silent = 20
	writers := map[string]func(w http.ResponseWriter) error{
		"written": func(w http.ResponseWriter) error {
			_, err := w.Write(bytes.Repeat([]byte("x"), size))
			return err
		},
		"copied": func(w http.ResponseWriter) error {
			_, err := io.Copy(w, io.LimitReader(endless{}, size))
			return err
		},
	}
	for name, write := range writers {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, silent+1)
			s := httptest.NewServer(boundAnswers(300 * time.Millisecond)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(size))
				ended <- write(w)
			})))
			defer s.Close()
			for range silent {
				conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				fmt.Fprint(conn, "GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
			}
			for range silent {
				if err := <-ended; err == nil {
					t.Error("an answer that nobody reads was written")
				}
			}
			res, err := http.Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
				t.Errorf("who reads got %d of %d bytes: %v", n, size, err)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// The deadline of an answer does not reach the next one on its connection.
func TestADeadlineEndsWithItsAnswer(t *testing.T) {
	d := &writeDeadlines{ResponseWriter: httptest.NewRecorder()}
	h := boundAnswers(time.Minute)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		d.atStart = d.until
		fmt.Fprint(w, "text")
	}))
	for range 2 {
		h.ServeHTTP(d, httptest.NewRequest("GET", "/", nil))
		if !d.atStart.IsZero() || d.until.IsZero() {
			t.Errorf("at the start the deadline is %v, after an answer %v", d.atStart, d.until)
		}
	}
}

// writeDeadlines is a connection that remembers its write deadline.
type writeDeadlines struct {
	http.ResponseWriter
	until, atStart time.Time
}

func (d *writeDeadlines) SetWriteDeadline(until time.Time) error { d.until = until; return nil }
