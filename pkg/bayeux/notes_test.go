package bayeux

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
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
			most := 2 + int(time.Since(began)/notePause)
			if n := strings.Count(log.String(), c.text); n < 1 || n > most {
				t.Errorf("%d lines:\n%s", n, log.String())
			}
			if !strings.Contains(log.String(), "times=") {
				t.Errorf("nobody is told how often:\n%s", log.String())
			}
		})
	}
}

func TestNotesCountWhatTheyDoNotTell(t *testing.T) {
	var log lines
	n := notes{log: slog.New(slog.NewTextHandler(&log, nil))}
	for range 5 {
		n.say(slog.LevelInfo, "knock", "from", "here")
	}
	n.say(slog.LevelDebug, "unheard")
	if got := log.String(); strings.Count(got, "knock") != 1 || strings.Contains(got, "times") {
		t.Errorf("at first: %s", got)
	}
	n.flush(time.Now().Add(notePause))
	n.flush(time.Now().Add(2 * notePause))
	if got := log.String(); strings.Count(got, "knock") != 2 || !strings.Contains(got, "msg=knock from=here times=4") || strings.Contains(got, "unheard") {
		t.Errorf("a second later: %s", got)
	}
}
