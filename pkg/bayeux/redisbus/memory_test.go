package redisbus

import (
	"fmt"
	"testing"

	"exporthub/pkg/bayeux"
	"exporthub/pkg/bayeux/internal/memorytest"
)

// Positions are the same on all servers and grow, also over publishers.
func TestPositionsAreSharedAndGrow(t *testing.T) {
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			client := backend(t)
			one, other := listen(t, New(client, "p", quick)), listen(t, New(client, "p", quick))
			eventually(t, "both listen", func() bool { return one.synced(1)() && other.synced(1)() })
			for seq := range uint64(20) {
				if err := New(client, "p", quick).Publish(t.Context(), event("a", seq+1)); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "all arrive", func() bool { return len(one.got()) == 20 && len(other.got()) == 20 })
			last := uint64(0)
			for i, e := range one.got() {
				if e.Position <= last || e.Position != other.got()[i].Position {
					t.Fatalf("event %d: position %d after %d, at the other %d", i, e.Position, last, other.got()[i].Position)
				}
				last = e.Position
			}
		})
	}
}

func TestNewestIsShared(t *testing.T) {
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			client := backend(t)
			one, other := New(client, "p", quick), New(client, "p", quick)
			for _, e := range []bayeux.Event{event("a", 3), event("a", 7), event("a", 5), event("b", 1)} {
				if err := one.Publish(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			newest, err := other.Newest(t.Context(), []string{"a", "unknown", "b"})
			if err != nil || len(newest) != 2 || newest[0].Seq != 7 || newest[1].Seq != 1 {
				t.Errorf("newest %v %v", newest, err)
			}
		})
	}
}

func TestMemoryInRedis(t *testing.T) {
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			client, n := backend(t), 0
			memorytest.Run(t, func(*testing.T) memorytest.Bus {
				n++
				return New(client, fmt.Sprint("memory", n), quick)
			})
		})
	}
}

// A Redis that takes no writes still brings events.
func TestRedisThatTakesNoWritesStillPublishes(t *testing.T) {
	server := startRedis(t)
	client := server.client()
	l := listen(t, New(client, "p", quick))
	eventually(t, "it listens", l.synced(1))
	if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := New(client, "p", quick).Publish(t.Context(), event("a", 1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event arrives", func() bool { return len(l.got()) == 1 })
}

// An event of a publisher of the release before has no position, and is delivered all the same.
func TestEventsOfAnOlderPublisher(t *testing.T) {
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			client := backend(t)
			b := New(client, "p", quick)
			l := listen(t, b)
			eventually(t, "it listens", l.synced(1))
			old := `{"s":["job:a"],"k":"a","n":4,"d":{"n":4}}`
			if err := client.Publish(t.Context(), b.channelOf(event("a", 4)), old).Err(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the event arrives", func() bool { return len(l.got()) == 1 })
			if e := l.got()[0]; e.Seq != 4 || e.Position != 0 {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// TestEndIsReplayedOnceToAPersonOnTwoReplicas has one replica deliver an end and another be asked
// for it.
func TestEndIsReplayedOnceToAPersonOnTwoReplicas(t *testing.T) {
	server := startRedis(t)
	auth := &everybody{audience: "person 1"}
	auth.reach(event("a", 1))
	one := startReplica(t, auth, New(server.client(), "p", quick))
	one.want(1)
	eventually(t, "the replica subscribes", func() bool {
		n, err := server.client().PubSubNumSub(t.Context(), "p:0").Result()
		return err == nil && n["p:0"] == 1
	})
	if err := New(server.client(), "p", quick).Publish(t.Context(), auth.reach(event("a", 9))); err != nil {
		t.Fatal(err)
	}
	one.want(9)
	one.post(fmt.Sprintf(`{"channel":"/meta/connect","clientId":%q,"connectionType":"long-polling","id":"x","advice":{"timeout":0}}`, one.id))
	bus := New(server.client(), "p", quick)
	eventually(t, "Redis knows", func() bool {
		known, _ := bus.Received(t.Context(), []bayeux.End{{Audience: "person 1", Key: "a", Seq: 9}})
		return len(known) == 1 && known[0]
	})
	other := startReplica(t, auth, bus)
	eventually(t, "the other replica subscribes", func() bool {
		n, err := server.client().PubSubNumSub(t.Context(), "p:0").Result()
		return err == nil && n["p:0"] == 2
	})
	next := event("b", 2)
	if err := New(server.client(), "p", quick).Publish(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	other.want(2) // and not the end before it
}
