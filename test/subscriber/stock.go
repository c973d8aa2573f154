package subscriber

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"exporthub/test/program"
)

// maxLine bounds a line of a client's output. An event with a full message in it is longer than the
// 64 KiB that bufio.Scanner allows by itself.
const maxLine = 1 << 20

// Stock is a stock Faye client in a process of its own. It ends by itself after a job's end.
type Stock struct {
	t     testing.TB
	lines chan Line
	errs  *program.Output
	story Story
}

// Line is what the client reports: an event, that its subscription is confirmed, or that it was
// refused with a code of the protocol.
type Line struct {
	Event      json.RawMessage
	Subscribed string
	Session    string // of a handshake; Next keeps it to itself
	Refused    int
	Message    string
}

// Start starts a stock client on a channel, by "websocket" or "long-polling", with the token of a
// person or without one.
func Start(t testing.TB, url, channel, transport string, token ...string) *Stock {
	t.Helper()
	s := &Stock{
		t: t,
		// More lines than any test reads late; a full channel would stop the client, not lose
		// lines.
		lines: make(chan Line, 1000),
		errs:  &program.Output{},
		story: Story{Steady: true},
	}
	cmd, out := node(t, s.errs, "stock.mjs", append([]string{url + "/faye", channel, transport}, token...))
	go func() {
		defer close(s.lines)
		scan := bufio.NewScanner(out)
		scan.Buffer(nil, maxLine)
		for scan.Scan() {
			var l Line
			// node itself prints warnings that are no JSON.
			if json.Unmarshal(scan.Bytes(), &l) == nil {
				s.lines <- l
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // for tests that fail before the job's end
		_ = cmd.Wait()
	})
	return s
}

// node starts one of the scripts beside this file.
func node(t testing.TB, errs io.Writer, script string, args []string) (*exec.Cmd, io.Reader) {
	t.Helper()
	path := filepath.Join(program.Repository(t), "test", "subscriber", script)
	cmd := exec.Command("node", append([]string{path}, args...)...)
	cmd.Stderr = errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start node (is it installed, and has make web been run?): %v", err)
	}
	return cmd, out
}

// Next returns the next line, or fails the test. What is wrong with an event fails it too.
func (s *Stock) Next(within time.Duration) Line {
	s.t.Helper()
	for {
		select {
		case l, ok := <-s.lines:
			if !ok {
				s.t.Fatalf("the client ended: %s", s.errs)
			}
			if l.Session != "" {
				s.story.Handshake()
				continue
			}
			s.check(l)
			return l
		case <-time.After(within):
			s.t.Fatalf("nothing for %s; the client says: %s", within, s.errs)
			return Line{}
		}
	}
}

// check tells the story of a line's event, if it brings one.
func (s *Stock) check(l Line) {
	s.t.Helper()
	if l.Event == nil {
		return
	}
	var e Event
	if err := json.Unmarshal(l.Event, &e); err != nil {
		s.t.Errorf("the client received %s: %v", l.Event, err)
		return
	}
	if err := s.story.Take(e); err != nil {
		s.t.Errorf("the client received what it may not: %v", err)
	}
}

// Subscribed waits until the subscription is confirmed.
func (s *Stock) Subscribed() {
	s.t.Helper()
	if l := s.Next(30 * time.Second); l.Subscribed == "" {
		s.t.Fatalf("the subscription was answered with %+v", l)
	}
}

// Until reads events up to the one that stop accepts, which is the last returned.
func (s *Stock) Until(within time.Duration, stop func(Event) bool) []Event {
	s.t.Helper()
	var all []Event
	for {
		l := s.Next(within)
		if l.Event == nil {
			continue // the confirmation of the subscription
		}
		var e Event
		if err := json.Unmarshal(l.Event, &e); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, e)
		if stop(e) {
			return all
		}
	}
}
