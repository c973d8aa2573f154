package redisbus

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"exporthub/pkg/bayeux"
)

// link is a TCP way to a server that can be cut, and that counts the pings on it.
type link struct {
	listener net.Listener
	target   string
	work     sync.WaitGroup

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
	pings int
}

func newLink(t testing.TB, target string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, target: target, conns: make(map[net.Conn]bool)}
	l.work.Go(l.accept)
	t.Cleanup(func() {
		listener.Close()
		l.cut()
		l.work.Wait()
	})
	return l
}

func (l *link) client(t testing.TB) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: l.listener.Addr().String(), MaxRetries: -1})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (l *link) accept() {
	for {
		in, err := l.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", l.target)
		if err != nil || !l.add(in, out) {
			in.Close()
			continue
		}
		l.work.Go(func() { l.pipe(out, in) })
		l.work.Go(func() { l.pipe(in, out) })
	}
}

func (l *link) add(in, out net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		out.Close()
		return false
	}
	l.conns[in], l.conns[out] = true, true
	return true
}

func (l *link) pipe(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		l.mu.Lock()
		l.pings += bytes.Count(buf[:n], []byte("\r\nping\r\n"))
		l.mu.Unlock()
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// cut breaks all connections and refuses new ones.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for c := range l.conns {
		c.Close()
	}
	clear(l.conns)
}

func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

func TestQuietLinkIsKept(t *testing.T) {
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			direct := backend(t)
			way := newLink(t, direct.(*redis.Client).Options().Addr)
			l := listen(t, New(way.client(t), "p", quick))
			eventually(t, "the quiet link is asked several times", func() bool {
				way.mu.Lock()
				defer way.mu.Unlock()
				return way.pings >= 3
			})
			if err := New(direct, "p", quick).Publish(t.Context(), event("a", 1)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the event arrives", func() bool { return len(l.got()) == 1 })
			if l.synced(2)() {
				t.Error("a link that answers pings was given up")
			}
		})
	}
}

// everybody lets everybody in and serves the present state of the one job there is.
type everybody struct {
	audience string // receives ends once, unless it is empty
	mu       sync.Mutex
	state    bayeux.Event
}

func (*everybody) Handshake(context.Context, bayeux.Request) (bayeux.Principal, error) {
	return bayeux.Principal{}, nil
}

func (e *everybody) Subscribe(context.Context, bayeux.Principal, string) (bayeux.Grant, error) {
	return bayeux.Grant{Stream: "user:1", Audience: e.audience, EndsOnce: e.audience != "", Latest: func(context.Context) ([]bayeux.Event, error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		return []bayeux.Event{e.state}, nil
	}}, nil
}

func (*everybody) Alive(context.Context, bayeux.Principal) bool { return true }

func (e *everybody) reach(state bayeux.Event) bayeux.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state = state
	return state
}

// replica is a server on a bus, and one long-polling client of it.
type replica struct {
	t    *testing.T
	url  string
	id   string
	turn int
}

func startReplica(t *testing.T, auth bayeux.Authorizer, bus bayeux.Bus) *replica {
	t.Helper()
	srv, err := bayeux.New(auth, bus, bayeux.Options{Timeout: 10 * time.Second, DrainSpread: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		web.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	r := &replica{t: t, url: web.URL + "/faye"}
	r.id = r.post(`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}`)[0]["clientId"].(string)
	r.post(`{"channel":"/meta/subscribe","clientId":"` + r.id + `","subscription":"/export/1"}`)
	return r
}

func (r *replica) post(body string) []map[string]any {
	r.t.Helper()
	res, err := http.Post(r.url, "application/json", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var replies []map[string]any
	if err := json.Unmarshal(raw, &replies); err != nil {
		r.t.Fatalf("%s: %v", raw, err)
	}
	return replies
}

// next connects and returns the numbers of the events that came.
func (r *replica) next() []float64 {
	r.t.Helper()
	r.turn++
	var got []float64
	for _, m := range r.post(`{"channel":"/meta/connect","clientId":"` + r.id + `","connectionType":"long-polling","id":` + string(rune('0'+r.turn)) + `}`)[1:] {
		got = append(got, m["data"].(map[string]any)["n"].(float64))
	}
	return got
}

func (r *replica) want(n float64) {
	r.t.Helper()
	if got := r.next(); len(got) != 1 || got[0] != n {
		r.t.Fatalf("got events %v, want %v", got, n)
	}
}

func TestEventsLostWithTheLinkReachClients(t *testing.T) {
	server := startRedis(t)
	direct := server.client()
	way := newLink(t, server.addr)
	auth := &everybody{}
	auth.reach(event("a", 1))
	worker := New(direct, "p", Options{})
	near, far := New(direct, "p", quick), New(way.client(t), "p", quick)
	whole, broken := startReplica(t, auth, near), startReplica(t, auth, far)
	whole.want(1)
	broken.want(1)
	eventually(t, "both replicas subscribe", func() bool {
		n, err := direct.PubSubNumSub(t.Context(), "p:0").Result()
		return err == nil && n["p:0"] == 2
	})

	way.cut()
	eventually(t, "one link is lost", func() bool {
		n, err := direct.PubSubNumSub(t.Context(), "p:0").Result()
		return err == nil && n["p:0"] == 1
	})
	if err := worker.Publish(t.Context(), auth.reach(event("a", 9))); err != nil {
		t.Fatal(err)
	}
	whole.want(9)
	way.mend()
	broken.want(9)
}
