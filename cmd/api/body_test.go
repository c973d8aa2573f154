package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestABodyThatIsAnnouncedAndNotSent(t *testing.T) {
	ended := make(chan error, 1)
	s := httptest.NewServer(boundBodies(100 * time.Millisecond)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		ended <- err
	})))
	defer s.Close()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the body ended without an error")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server waits on")
	}
}

// deadlines is a connection that remembers its read deadline.
type deadlines struct {
	http.ResponseWriter
	until time.Time
}

func (d *deadlines) SetReadDeadline(until time.Time) error { d.until = until; return nil }

// A body that trickles moves the deadline by what its bytes are worth, not by how often they come.
func TestATricklingBodyEnds(t *testing.T) {
	d := &deadlines{ResponseWriter: httptest.NewRecorder()}
	r := httptest.NewRequest("POST", "/", io.NopCloser(strings.NewReader(strings.Repeat("x", 1000))))
	began := time.Now()
	boundBodies(bodySilence)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		one := make([]byte, 1)
		for range 500 {
			if _, err := r.Body.Read(one); err != nil {
				t.Fatal(err)
			}
		}
	})).ServeHTTP(d, r)
	if latest := time.Now().Add(bodyGrace + 500*time.Second/bodyRate); d.until.After(latest) || d.until.Before(began.Add(bodyGrace)) {
		t.Errorf("after 500 bytes the body may go on for %s, want about %s", d.until.Sub(began), bodyGrace)
	}
}

// A poll that is held longer than a body may be silent is not cut: the bound ends with the body.
func TestAHeldAnswerOutlivesTheBoundOfItsBody(t *testing.T) {
	const silence = 50 * time.Millisecond
	s := httptest.NewServer(boundBodies(silence)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			t.Error(err)
		}
		select {
		case <-r.Context().Done():
			t.Error("the request was cut")
		case <-time.After(6 * silence):
		}
		fmt.Fprint(w, "held")
	})))
	defer s.Close()
	res, err := http.Post(s.URL, "application/json", strings.NewReader("[]"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || string(text) != "held" {
		t.Errorf("answered %q, %v", text, err)
	}
}
