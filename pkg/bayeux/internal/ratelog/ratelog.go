// Package ratelog logs what outsiders can cause at will without letting them fill the log.
package ratelog

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Pause is the least time between two log lines of one text.
const Pause = time.Second

// Logger is a rate-limited logger. Of each text there is at most one line per Pause; the line says
// in its attribute times how often the text came since the one before. It may be used
// concurrently.
type Logger struct {
	log *slog.Logger

	mu     sync.Mutex
	topics map[string]*topic // by text; texts are constants, so the map is small
}

// topic is what there is to log of one text.
type topic struct {
	level slog.Level
	at    time.Time // of the last line
	times int       // since then
	args  []any     // of the last time
}

// New makes a logger that writes to log.
func New(log *slog.Logger) *Logger { return &Logger{log: log, topics: make(map[string]*topic)} }

// Log logs the text now or, when it was logged less than a Pause ago, counts it for the next line.
// The text must be a constant: what varies belongs into args.
func (l *Logger) Log(level slog.Level, text string, args ...any) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	now := time.Now()
	l.mu.Lock()
	t := l.topics[text]
	if t == nil {
		t = &topic{}
		l.topics[text] = t
	}
	t.level, t.args = level, args
	t.times++
	line, due := t.line(now)
	l.mu.Unlock() // before the write, which may be slow
	if due {
		l.log.Log(context.Background(), line.level, text, line.args...)
	}
}

// Flush logs what was counted and not logged for a Pause. It is to be called from time to time,
// and once at the end with a time a Pause ahead, so that the last counts are not lost.
func (l *Logger) Flush(now time.Time) {
	l.mu.Lock()
	lines := make(map[string]topic)
	for text, t := range l.topics {
		if line, due := t.line(now); due {
			lines[text] = line
		}
	}
	l.mu.Unlock()
	for text, line := range lines {
		l.log.Log(context.Background(), line.level, text, line.args...)
	}
}

// line takes what is to be logged, if it is time.
func (t *topic) line(now time.Time) (line topic, due bool) {
	if t.times == 0 || now.Sub(t.at) < Pause {
		return topic{}, false
	}
	line = *t
	if t.times > 1 {
		// The capacity is cut, since args is the caller's array.
		line.args = append(line.args[:len(line.args):len(line.args)], "times", t.times)
	}
	t.at = now
	t.times = 0
	t.args = nil
	return line, true
}
