package ratelog

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestLinesThatAreLeftOutAreCounted(t *testing.T) {
	var log bytes.Buffer
	l := New(slog.New(slog.NewTextHandler(&log, nil)))
	for range 5 {
		l.Log(slog.LevelInfo, "knock", "from", "here")
	}
	l.Log(slog.LevelDebug, "below the level")
	if got := log.String(); strings.Count(got, "knock") != 1 || strings.Contains(got, "times") {
		t.Errorf("at first: %s", got)
	}
	l.Flush(time.Now().Add(Pause))
	l.Flush(time.Now().Add(2 * Pause))
	got := log.String()
	if strings.Count(got, "knock") != 2 || !strings.Contains(got, "msg=knock from=here times=4") {
		t.Errorf("a second later: %s", got)
	}
	if strings.Contains(got, "below the level") {
		t.Errorf("a level that is off is logged: %s", got)
	}
}
