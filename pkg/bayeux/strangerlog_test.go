package bayeux

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/bayeux/internal/ratelog"
)

// lines counts the lines of a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestStrangersDoNotFillTheLog(t *testing.T) {
	refused := strings.Replace(shake, "}", `,"ext":{"token":"bad"}}`, 1)
	for name, c := range map[string]struct{ shake, text string }{
		"refused": {refused, "handshake refused"}, "put off": {shake, "handshake put off"},
	} {
		t.Run(name, func(t *testing.T) {
			var log lines
			began := time.Now()
			s := start(t, Options{HandshakeRate: 1, HandshakeBurst: 501, Logger: slog.New(slog.NewTextHandler(&log, nil)), CheckEvery: 10 * time.Millisecond})
			if name == "put off" {
				s.post("[" + strings.Repeat(shake+",", 500) + shake + "]")
			}
			s.post("[" + strings.Repeat(c.shake+",", 499) + c.shake + "]")
			s.end()
			most := 2 + int(time.Since(began)/ratelog.Pause)
			if n := strings.Count(log.String(), c.text); n < 1 || n > most {
				t.Errorf("%d lines:\n%s", n, log.String())
			}
			if !strings.Contains(log.String(), "times=") {
				t.Errorf("the line does not say how often:\n%s", log.String())
			}
		})
	}
}
