package redisbus

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"exporthub/pkg/bayeux"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	goleak.VerifyTestMain(m)
}

// silent keeps the client's lines about connections that tests cut out of their output.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// listener is a running Bus.
type listener struct {
	mu      sync.Mutex
	events  []bayeux.Event
	resyncs int
}

func listen(t *testing.T, b *Bus) *listener {
	t.Helper()
	l := &listener{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- b.Run(ctx, func(e bayeux.Event) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.events = append(l.events, e)
		}, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.resyncs++
		})
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Run does not end")
		}
	})
	return l
}

func (l *listener) synced(n int) func() bool {
	return func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.resyncs >= n
	}
}

func (l *listener) got() []bayeux.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]bayeux.Event(nil), l.events...)
}

var quick = Options{Quiet: 100 * time.Millisecond, RetryMin: 5 * time.Millisecond, RetryMax: 50 * time.Millisecond}

func event(key string, seq uint64) bayeux.Event {
	return bayeux.Event{Streams: []string{"user:1", "job:" + key}, Key: key, Seq: seq, Final: seq == 9, Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, seq))}
}

// backends are what a bus has to work on.
var backends = map[string]func(t *testing.T) redis.UniversalClient{
	"redis-server": func(t *testing.T) redis.UniversalClient { return startRedis(t).client() },
	"miniredis": func(t *testing.T) redis.UniversalClient {
		c := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		t.Cleanup(func() { _ = c.Close() })
		return c
	},
}

func TestEventsArriveOnEveryReplicaInOrder(t *testing.T) {
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			client := backend(t)
			replicas := []*listener{listen(t, New(client, "p", quick)), listen(t, New(client, "p", quick))}
			other := listen(t, New(client, "q", quick))
			for _, l := range append(replicas, other) {
				eventually(t, "the subscription stands", l.synced(1))
			}
			publisher := New(client, "p", Options{})
			want := make(map[string][]bayeux.Event)
			for seq := range uint64(100) {
				for _, key := range []string{"a", "b", "c", "d", "e"} {
					e := event(key, seq)
					want[key] = append(want[key], e)
					if err := publisher.Publish(t.Context(), e); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, l := range replicas {
				eventually(t, "all events arrive", func() bool { return len(l.got()) == 500 })
				got := make(map[string][]bayeux.Event)
				for _, e := range l.got() {
					e.Position = 0 // which the bus adds
					got[e.Key] = append(got[e.Key], e)
				}
				if !reflect.DeepEqual(got, want) {
					t.Error("events are changed or out of order")
				}
			}
			if len(other.got()) != 0 {
				t.Error("another prefix receives them")
			}
		})
	}
}

func TestKilledServer(t *testing.T) {
	r := startRedis(t)
	b := New(r.client(), "p", quick)
	l := listen(t, b)
	eventually(t, "the subscription stands", l.synced(1))
	r.kill()
	if err := b.Publish(t.Context(), event("a", 1)); err == nil {
		t.Error("publishing to nobody succeeds")
	}
	r.start()
	eventually(t, "resync after the link is back", l.synced(2))
	if err := b.Publish(t.Context(), event("a", 2)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event arrives", func() bool { return len(l.got()) == 1 })
	if got := l.got()[0]; got.Seq != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestStalledServer(t *testing.T) {
	r := startRedis(t)
	b := New(r.client(), "p", quick)
	l := listen(t, b)
	eventually(t, "the subscription stands", l.synced(1))
	r.signal(syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := b.Publish(ctx, event("a", 1)); err == nil {
		t.Error("publishing to a stalled server succeeds")
	}
	r.signal(syscall.SIGCONT)
	eventually(t, "resync after the link is back", l.synced(2))
	if err := b.Publish(t.Context(), event("a", 2)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event arrives", func() bool {
		got := l.got()
		return len(got) > 0 && got[len(got)-1].Seq == 2
	})
}

func TestServerThatComesLater(t *testing.T) {
	r := startRedis(t)
	r.kill()
	l := listen(t, New(r.client(), "p", quick))
	r.start()
	eventually(t, "the subscription stands", l.synced(1))
}

func TestBadEvents(t *testing.T) {
	client := backends["miniredis"](t)
	b := New(client, "p", Options{Channels: 1, Quiet: quick.Quiet})
	l := listen(t, b)
	eventually(t, "the subscription stands", l.synced(1))
	for _, e := range []bayeux.Event{{Data: json.RawMessage(`1`)}, {Streams: []string{"a"}, Data: json.RawMessage(`{`)}, {Streams: []string{"a"}}} {
		if err := b.Publish(t.Context(), e); err == nil {
			t.Errorf("%+v is published", e)
		}
	}
	for _, payload := range []string{``, `{`, `[]`, `{"s":[]}`, `{"s":["a"]}`, `{"s":"a","d":1}`, `{"s":["a"],"d":null,"n":-1}`} {
		if err := client.Publish(t.Context(), "p:0", payload).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Publish(t.Context(), "p:0", `{"s":["a"],"d":1,"later":true}`).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the good one arrives", func() bool { return len(l.got()) > 0 })
	if got := l.got(); len(got) != 1 || string(got[0].Data) != "1" {
		t.Errorf("got %+v", got)
	}
}

func TestWireForm(t *testing.T) {
	e := bayeux.Event{Streams: []string{"user:1"}, Key: "k", Seq: 1 << 60, Final: true, Data: json.RawMessage("{ \"pct\" : 40 }")}
	b, err := encode(e)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"s":["user:1"],"k":"k","n":1152921504606846976,"f":true,"d":{"pct":40}}`; string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
	back, err := decode(string(b))
	e.Data = json.RawMessage(`{"pct":40}`)
	if err != nil || !reflect.DeepEqual(back, e) {
		t.Errorf("%+v %v, want %+v", back, err, e)
	}
	if _, err := decode(strings.Repeat("[", 100_000)); err == nil {
		t.Error("nesting without end is decoded")
	}
}
