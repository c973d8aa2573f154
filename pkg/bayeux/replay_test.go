package bayeux

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"exporthub/pkg/bayeux/internal/history"
)

func (s *site) subscribeReplay(id, channel, replay string) {
	s.t.Helper()
	r := s.post(`{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":"` + channel + `","ext":{"replay":` + replay + `}}`)[0]
	if r["successful"] != true {
		s.t.Fatal(r)
	}
}

func numbered(stream, key string, seq uint64) Event {
	return Event{Streams: []string{stream}, Key: key, Seq: seq, Data: json.RawMessage(fmt.Sprintf(`"%s%d"`, key, seq))}
}

// wait polls until n deliveries have come.
func (s *site) wait(id string, n int) (got []object) {
	s.t.Helper()
	for turn := 0; len(got) < n; turn++ {
		got = append(got, s.post(connectBody(id, fmt.Sprintf("w%d-%d", n, turn)))[1:]...)
		if turn > n+5 {
			s.t.Fatalf("got only %v", got)
		}
	}
	return got
}

func textsOf(list []object) (got []any) {
	for _, m := range list {
		got = append(got, m["data"])
	}
	return got
}

func position(m object) float64 {
	ext, _ := m["ext"].(object)
	n, _ := ext["replay"].(float64)
	return n
}

func TestReplayAfterAPublishersSequenceNumber(t *testing.T) {
	s := start(t, Options{})
	for n := range uint64(6) {
		s.publish(numbered("/a", "j", n+1))
	}
	for _, row := range []struct {
		replay string
		want   []any
	}{
		{`3`, []any{"j4", "j5", "j6", "live"}},
		{`0`, []any{"j1", "j2", "j3", "j4", "j5", "j6", "live"}},
		{`{"/a":5,"/b":1}`, []any{"j6", "live"}},
		{`{"/b":1}`, []any{"live"}},
		{`6`, []any{"live"}},
		{`-1`, []any{"live"}},
		{`true`, []any{"live"}},
		{`"x"`, []any{"live"}},
		{`null`, []any{"live"}},
		{`1e300`, []any{"live"}},
	} {
		id := s.handshake("")
		s.subscribeReplay(id, "/a", row.replay)
		s.publish(say("/a", "live"))
		if row.replay == "0" {
			row.want = append([]any{}, row.want...)
		}
		got := textsOf(s.wait(id, len(row.want)))
		got = dropLives(got)
		if !reflect.DeepEqual(got, row.want) {
			t.Errorf("replay %s: got %v, want %v", row.replay, got, row.want)
		}
	}
}

// dropLives leaves of the live events that earlier rows published only the last.
func dropLives(got []any) []any {
	var kept []any
	for i, text := range got {
		if text != "live" || i == len(got)-1 {
			kept = append(kept, text)
		}
	}
	return kept
}

func TestReplayAfterADeliveredPosition(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribeReplay(id, "/a", `true`)
	for _, text := range []string{"1", "2", "3"} {
		s.publish(say("/a", text))
	}
	seen := s.wait(id, 3)
	if position(seen[0]) < history.FirstPosition || position(seen[0]) >= position(seen[1]) || position(seen[1]) >= position(seen[2]) {
		t.Fatalf("positions of %v", seen)
	}
	s.publish(say("/a", "4"))

	second := s.handshake("")
	s.subscribeReplay(second, "/a", fmt.Sprintf("%.0f", position(seen[1])))
	if got := textsOf(s.wait(second, 2)); !reflect.DeepEqual(got, []any{"3", "4"}) {
		t.Errorf("after a position: %v", got)
	}
	third := s.handshake("") // a position that this server does not know: the bus counts for all
	s.subscribeReplay(third, "/a", fmt.Sprintf("%.0f", position(seen[2])+3))
	if got := textsOf(s.wait(third, 1)); !reflect.DeepEqual(got, []any{"4"}) {
		t.Errorf("after a foreign position: %v", got)
	}
	plain := s.handshake("")
	s.subscribe(plain, "/a")
	s.publish(say("/a", "5"))
	if m := s.wait(plain, 1)[0]; m["ext"] != nil {
		t.Errorf("a client that did not ask gets a position: %v", m)
	}
}

func TestReplayStandsBeforeLatestAndLive(t *testing.T) {
	s := start(t, Options{})
	leave := make(chan struct{})
	asked := make(chan struct{}, 1)
	s.door.latest = func(context.Context, string) ([]Event, error) {
		asked <- struct{}{}
		<-leave
		return []Event{numbered("/a", "j", 2), numbered("/a", "k", 7)}, nil
	}
	s.publish(numbered("/a", "j", 1))
	s.publish(numbered("/a", "j", 2))
	id := s.handshake("")
	var subscribing sync.WaitGroup
	subscribing.Go(func() { s.subscribeReplay(id, "/a", `0`) }) // is confirmed when Latest is read
	<-asked
	s.publish(numbered("/a", "j", 3))
	close(leave)
	subscribing.Wait()
	if got := textsOf(s.wait(id, 4)); !reflect.DeepEqual(got, []any{"j1", "j2", "k7", "j3"}) {
		t.Errorf("got %v", got)
	}
}

func TestReplayOfPatterns(t *testing.T) {
	s := start(t, Options{AllowPatterns: true})
	for _, stream := range []string{"/x/1", "/y/1", "/x/2", "/x/2/3"} {
		s.publish(say(stream, stream))
	}
	id := s.handshake("")
	s.subscribeReplay(id, "/x/*", `0`)
	got := s.wait(id, 2)
	if got[0]["channel"] != "/x/1" || got[1]["channel"] != "/x/2" {
		t.Errorf("got %v", got)
	}
}

// TestReplayJoinsLiveWithoutGapOrRepeat subscribes while events come.
func TestReplayJoinsLiveWithoutGapOrRepeat(t *testing.T) {
	const events = 300
	s := start(t, Options{ReplayEvents: events, QueueMessages: 2 * events})
	var work sync.WaitGroup
	work.Go(func() {
		for i := range events {
			s.publish(say("/a", fmt.Sprint(i)))
		}
	})
	for range 5 {
		work.Go(func() {
			id := s.handshake("")
			s.subscribeReplay(id, "/a", `0`)
			for i, text := range textsOf(s.wait(id, events)) {
				if text != fmt.Sprint(i) {
					t.Errorf("%v came at %d", text, i)
					return
				}
			}
		})
	}
	work.Wait()
}

func TestReplayCanBeTurnedOff(t *testing.T) {
	s := start(t, Options{ReplayEvents: -1})
	s.publish(say("/a", "1"))
	id := s.handshake("")
	s.subscribeReplay(id, "/a", `0`)
	s.publish(say("/a", "2"))
	if got := s.wait(id, 1); got[0]["data"] != "2" || got[0]["ext"] != nil {
		t.Errorf("got %v", got)
	}
}
