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
