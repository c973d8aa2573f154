package bayeux

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// events is a client's event stream.
type events struct {
	t      testing.TB
	status int
	header http.Header
	next   chan streamEvent // closed when the stream ends
	cancel func()
}

type streamEvent struct {
	id      string
	comment bool
	retry   string
	frame   []object
}

// stream opens the event stream of a session, coming back after the event with that id when one is
// given.
func (s *site) stream(id, lastEventID string) *events {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/"+id, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html, text/event-stream;q=0.9")
	if lastEventID != "" {
		req.Header.Set("Last-Event-ID", lastEventID)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	e := &events{t: s.t, status: res.StatusCode, header: res.Header, next: make(chan streamEvent, 10_000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(e.next)
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return
		}
		e.read(bufio.NewScanner(res.Body))
	}()
	e.cancel = func() { cancel(); <-done }
	s.t.Cleanup(e.cancel)
	return e
}

func (e *events) read(scan *bufio.Scanner) {
	var now streamEvent
	for scan.Scan() {
		line := scan.Text()
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			e.next <- now
			now = streamEvent{}
		case field == "":
			now.comment = true
		case field == "id":
			now.id = value
		case field == "retry":
			now.retry = value
		case field == "data":
			if err := json.Unmarshal([]byte(value), &now.frame); err != nil {
				e.t.Errorf("event %q: %v", value, err)
			}
		default:
			e.t.Errorf("line %q", line)
		}
	}
}

// want waits for the next event with data, which must be one delivery of that text, and returns its
// id.
func (e *events) want(text string) string {
	e.t.Helper()
	m := e.message()
	if len(m.frame) != 1 || m.frame[0]["data"] != text {
		e.t.Fatalf("got %v, want %q", m.frame, text)
	}
	return m.id
}

func (e *events) message() streamEvent {
	e.t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case m, open := <-e.next:
			if !open {
				e.t.Fatal("the stream ended")
			}
			if m.frame != nil {
				return m
			}
		case <-timeout:
			e.t.Fatal("nothing came")
		}
	}
}

func (e *events) wantEnd() {
	e.t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case m, open := <-e.next:
			if !open {
				return
			}
			if m.frame != nil {
				e.t.Fatalf("got %v, want the end", m.frame)
			}
		case <-timeout:
			e.t.Fatal("the stream does not end")
		}
	}
}

func streamConnect(id, msgID string) string {
	return `{"channel":"/meta/connect","clientId":"` + id + `","connectionType":"eventsource","id":"` + msgID + `"}`
}

func TestStreamCarriesDeliveries(t *testing.T) {
	s := start(t, Options{StreamPing: 20 * time.Millisecond})
	id := s.handshake("")
	s.subscribe(id, "/a")
	s.publish(say("/a", "queued"))
	e := s.stream(id, "")
	if e.status != http.StatusOK || !strings.HasPrefix(e.header.Get("Content-Type"), "text/event-stream") ||
		!strings.Contains(e.header.Get("Cache-Control"), "no-store") {
		t.Fatalf("%d %v", e.status, e.header)
	}
	if first := <-e.next; first.retry != "5000" {
		t.Errorf("first came %+v", first)
	}
	e.want("queued") // the stream is the connection as soon as it opens
	reply := s.post(streamConnect(id, "1"))[0]
	if advice, _ := reply["advice"].(object); reply["successful"] != true || advice["interval"] != 10_000.0 || advice["timeout"] != 0.0 {
		t.Errorf("connect: %v", reply)
	}
	for i := range 50 {
		s.publish(say("/a", strconv.Itoa(i)))
	}
	for i := range 50 {
		e.want(strconv.Itoa(i))
	}
	eventually(t, "it is kept alive", func() bool { return (<-e.next).comment })
}

func TestStreamOfAnUnknownClient(t *testing.T) {
	s := start(t, Options{})
	for _, id := range []string{"nobody", "", "__proto__", strings.Repeat("a", 300)} {
		if e := s.stream(id, ""); e.status != http.StatusNotFound {
			t.Errorf("%q: %d", id, e.status)
		}
	}
}

func TestLostStreamLosesNothing(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	e := s.stream(id, "")
	s.publish(say("/a", "1"))
	first := e.want("1")
	s.publish(say("/a", "2"))
	e.want("2")
	e.cancel()
	s.publish(say("/a", "3"))

	e = s.stream(id, first) // 2 may not have arrived
	e.want("2")
	last := e.want("3")
	e.cancel()
	s.publish(say("/a", "4"))
	e = s.stream(id, last)
	e.want("4")
	e.cancel()
	e = s.stream(id, "") // one that says nothing gets all that is not known to have arrived
	e.want("4")
}

// What can be written may wait in buffers for good: a comment that could be written after it proves
// nothing.
func TestStreamThatStandsStillLosesNothing(t *testing.T) {
	s := start(t, Options{StreamPing: 5 * time.Millisecond})
	id := s.handshake("")
	s.subscribe(id, "/a")
	e := s.stream(id, "")
	s.publish(say("/a", "1"))
	for comments := 0; comments < 10; { // which a client that stands still would not see
		m, open := <-e.next
		if !open {
			t.Fatal("the stream ended")
		}
		if m.comment {
			comments++
		}
	}
	e.cancel()
	s.stream(id, "").want("1")
}

func TestStreamThatBroughtMuchComesBackToTell(t *testing.T) {
	const events = 100
	s := start(t, Options{QueueMessages: 20})
	id := s.handshake("")
	s.subscribe(id, "/a")
	e, last, streams := s.stream(id, ""), "", 1
	for i := range events {
		s.publish(say("/a", strconv.Itoa(i)))
		for got := false; !got; {
			m, open := <-e.next
			switch {
			case !open:
				e = s.stream(id, last)
				streams++
			case m.frame != nil:
				if m.frame[0]["data"] != strconv.Itoa(i) {
					t.Fatalf("got %v, want %d", m.frame, i)
				}
				last, got = m.id, true
			}
		}
	}
	if streams < 5 || streams > 11 {
		t.Errorf("%d streams for %d events", streams, events)
	}
}

// Who was sent away to come back and tell may take a while, as a page that computes does: what was
// written makes room for what comes meanwhile, and nothing but that overflows the queue.
func TestStreamThatComesBackLateLosesNothing(t *testing.T) {
	const most = 20
	s := start(t, Options{QueueMessages: most})
	id := s.handshake("")
	s.subscribe(id, "/a")
	e, last, n := s.stream(id, ""), "", 0
	for ; n <= most/2; n++ {
		s.publish(say("/a", strconv.Itoa(n)))
		last = e.want(strconv.Itoa(n))
	}
	e.wantEnd()
	for range most {
		s.publish(say("/a", strconv.Itoa(n)))
		n++
	}
	e = s.stream(id, last)
	for i := n - most; i < n; i++ {
		e.want(strconv.Itoa(i))
	}
}

// A client that does not send Last-Event-ID is asked once, and has the newest half of the queue
// kept for it.
func TestStreamThatDoesNotTellIsLeftAlone(t *testing.T) {
	s := start(t, Options{QueueMessages: 20})
	id := s.handshake("")
	s.subscribe(id, "/a")
	e := s.stream(id, "")
	for i := range 11 {
		s.publish(say("/a", strconv.Itoa(i)))
		e.want(strconv.Itoa(i))
	}
	e.wantEnd()
	e = s.stream(id, "")
	for i := range 200 {
		if i >= 11 {
			s.publish(say("/a", strconv.Itoa(i)))
		}
		e.want(strconv.Itoa(i))
	}
	e.cancel()
	e = s.stream(id, "")
	for i := range 10 {
		e.want(strconv.Itoa(190 + i))
	}
}

func TestNewConnectionTakesOverFromStream(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	old := s.stream(id, "")
	s.publish(say("/a", "1"))
	last := old.want("1")
	young := s.stream(id, last)
	old.wantEnd()
	s.publish(say("/a", "2"))
	young.want("2")
	if got := s.pollNow(id, "p"); len(got) != 0 { // 2 is on its way on a stream that is still open
		t.Errorf("polled %v", got)
	}
	s.publish(say("/a", "3")) // waits for the next connect, which says that the stream is in use
	s.post(streamConnect(id, "q"))
	young.want("3")
}

// What an open stream was given and may not have brought over comes by the poll once the stream has
// broken, and once only.
func TestPollBringsWhatABrokenStreamLost(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	e := s.stream(id, "")
	s.publish(say("/a", "1"))
	e.want("1")
	if got := s.pollNow(id, "p"); len(got) != 0 {
		t.Errorf("polled %v beside an open stream", got)
	}
	e.cancel()
	sess := s.srv.session(id)
	eventually(t, "the stream is gone", func() bool {
		sess.mu.Lock()
		defer sess.mu.Unlock()
		return sess.standby == nil
	})
	if got := s.pollNow(id, "q"); len(got) != 1 || got[0] != "1" {
		t.Errorf("polled %v after the stream broke", got)
	}
}

func TestEndedSessionTellsItsStream(t *testing.T) {
	for reason, c := range map[string]struct {
		end  func(s *site, id string)
		told bool
	}{
		"revoked":      {func(s *site, _ string) { s.door.set(func() { s.door.dead[""] = true }) }, true},
		"server ends":  {func(s *site, _ string) { s.end() }, true},
		"disconnected": {func(s *site, id string) { s.post(`{"channel":"/meta/disconnect","clientId":"` + id + `"}`) }, false},
	} {
		t.Run(reason, func(t *testing.T) {
			s := start(t, Options{CheckEvery: 5 * time.Millisecond})
			id := s.handshake("")
			e := s.stream(id, "")
			c.end(s, id)
			if c.told {
				m := e.message().frame[0]
				advice, _ := m["advice"].(object)
				if m["channel"] != "/meta/connect" || m["successful"] != false || advice["reconnect"] != "handshake" || advice["interval"] == nil {
					t.Errorf("told %v", m)
				}
			}
			e.wantEnd()
		})
	}
}

func TestStreamConnectOfAnUnknownClientShakesHandsAtOnce(t *testing.T) {
	s := start(t, Options{})
	advice, _ := s.post(streamConnect("nobody", "1"))[0]["advice"].(object)
	if advice["reconnect"] != "handshake" || advice["interval"] != 0.0 {
		t.Errorf("advice %v: the client's last interval was a whole timeout", advice)
	}
}

func TestStreamIsHeldToItsPrincipal(t *testing.T) {
	s := startAs(t, Options{}, func(d *door) Authorizer { return bound{d} })
	id := s.handshake("ann")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/"+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Cookie", "who=bob")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("another person's cookie: %d", res.StatusCode)
	}
}
