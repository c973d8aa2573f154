package bayeux

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// notePause is the least time between two log lines of one text.
const notePause = time.Second

// notes log what others can cause at will. Of each text there is at most one line a second, which tells how often it happened
// since the last.
type notes struct {
	log *slog.Logger

	mu     sync.Mutex
	topics map[string]*topic // by text; the package has few
}

// topic is what there is to say of one text.
type topic struct {
	level slog.Level
	at    time.Time // of the last line
	times int       // since then
	args  []any     // of the last time
}

// say logs the text now or, when it was logged less than a second ago, counts it for the next line.
func (n *notes) say(level slog.Level, text string, args ...any) {
	if !n.log.Enabled(context.Background(), level) {
		return
	}
	now := time.Now()
	n.mu.Lock()
	if n.topics == nil {
		n.topics = make(map[string]*topic)
	}
	t := n.topics[text]
	if t == nil {
		t = &topic{}
		n.topics[text] = t
	}
	t.level, t.args = level, args
	t.times++
	line, due := t.line(now)
	n.mu.Unlock()
	if due {
		n.log.Log(context.Background(), line.level, text, line.args...)
	}
}

// flush logs what was counted and not told for a second.
func (n *notes) flush(now time.Time) {
	n.mu.Lock()
	lines := make(map[string]topic)
	for text, t := range n.topics {
		if line, due := t.line(now); due {
			lines[text] = line
		}
	}
	n.mu.Unlock()
	for text, line := range lines {
		n.log.Log(context.Background(), line.level, text, line.args...)
	}
}

// line takes what is to be logged, if it is time.
func (t *topic) line(now time.Time) (line topic, due bool) {
	if t.times == 0 || now.Sub(t.at) < notePause {
		return topic{}, false
	}
	line = *t
	if t.times > 1 {
		line.args = append(line.args[:len(line.args):len(line.args)], "times", t.times)
	}
	t.at, t.times, t.args = now, 0, nil
	return line, true
}
