package bayeux

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// The fan-out benchmarks send one message to a thousand sockets and wait until all have it; ns/op
// divided by a thousand is what a delivery costs, client included. Raw is gorilla's with a prepared
// frame and no protocol at all. Only ratios inside one run mean something.
const listeners = 1000

const payload = `"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789` +
	`0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"`

// readers read frames from every connection and count them down.
func readers(b *testing.B, conns []*websocket.Conn) *sync.WaitGroup {
	var due, reading sync.WaitGroup
	for _, conn := range conns {
		reading.Go(func() {
			for {
				_, frame, err := conn.ReadMessage()
				if err != nil {
					return
				}
				for range strings.Count(string(frame), `"data":`) {
					due.Done()
				}
			}
		})
	}
	b.Cleanup(func() {
		for _, conn := range conns {
			conn.Close()
		}
		reading.Wait()
	})
	return &due
}

func dialAll(b *testing.B, url string) []*websocket.Conn {
	conns := make([]*websocket.Conn, listeners)
	for i := range conns {
		conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http"), nil)
		if err != nil {
			b.Fatal(err)
		}
		conns[i] = conn
	}
	return conns
}

func BenchmarkFanOut(b *testing.B) {
	b.Run("bayeux", func(b *testing.B) {
		s := start(b, Options{Timeout: time.Minute})
		conns := dialAll(b, s.url)
		for _, conn := range conns {
			id := s.handshake("")
			s.subscribe(id, "/news")
			if err := conn.WriteMessage(websocket.TextMessage, []byte(socketConnect(id, "1", ""))); err != nil {
				b.Fatal(err)
			}
			s.held(id)
		}
		due := readers(b, conns)
		for b.Loop() {
			due.Add(listeners)
			s.publish(Event{Streams: []string{"/news"}, Data: []byte(payload)})
			due.Wait()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*listeners), "ns/delivery")
	})
	b.Run("raw", func(b *testing.B) {
		accepted := make(chan *websocket.Conn, listeners)
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
				accepted <- conn
			}
		}))
		b.Cleanup(web.Close)
		due := readers(b, dialAll(b, web.URL))
		served := make([]*websocket.Conn, listeners)
		for i := range served {
			served[i] = <-accepted
		}
		b.Cleanup(func() {
			for _, conn := range served {
				conn.Close()
			}
		})
		for b.Loop() {
			due.Add(listeners)
			prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, []byte(`[{"channel":"/news","data":`+payload+`}]`))
			if err != nil {
				b.Fatal(err)
			}
			for _, conn := range served {
				if err := conn.WritePreparedMessage(prepared); err != nil {
					b.Fatal(err)
				}
			}
			due.Wait()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*listeners), "ns/delivery")
	})
}

// BenchmarkSession is a client's whole beginning: handshake, subscribe, first connect.
func BenchmarkSession(b *testing.B) {
	s := start(b, Options{MaxSessions: 1 << 20, MaxSessionsPerAddress: 1 << 20, HandshakeRate: 1 << 30, HandshakeBurst: 1 << 30})
	serve := func(body string) string {
		r := httptest.NewRequest(http.MethodPost, "/faye", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.srv.ServeHTTP(w, r)
		return w.Body.String()
	}
	b.ReportAllocs()
	for b.Loop() {
		_, rest, _ := strings.Cut(serve(shake), `"clientId":"`)
		id, _, _ := strings.Cut(rest, `"`)
		serve(`[{"channel":"/meta/connect","clientId":"` + id + `","connectionType":"long-polling","id":"2","advice":{"timeout":0}},` + subscribeTo(id, `"/news"`) + `]`)
		if sess := s.srv.session(id); sess != nil {
			s.srv.destroy(sess, disconnected, "benchmark")
		}
	}
}
