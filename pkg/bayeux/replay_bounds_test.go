package bayeux

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// replayed subscribes with ext.replay 0 and returns the reply.
func (s *site) replayed(id, channel string) object {
	s.t.Helper()
	r := s.post(`{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":"` + channel + `","ext":{"replay":0}}`)[0]
	if r["successful"] != true {
		s.t.Fatal(r)
	}
	return r
}

func skippedOf(r object, channel string) any {
	ext, _ := r["ext"].(object)
	told, _ := ext["replay"].(object)
	skipped, _ := told["skipped"].(object)
	return skipped[channel]
}

func countTo(from, to int) (list []any) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

func TestReplayLargerThanTheQueueIsCutToItsNewest(t *testing.T) {
	for name, c := range map[string]struct {
		opt     Options
		channel string
		skipped float64
	}{
		"many messages":         {Options{QueueMessages: 20, AllowPatterns: true}, "/m/0", 30},
		"many by a pattern":     {Options{QueueMessages: 20, AllowPatterns: true}, "/m/*", 30},
		"many bytes":            {Options{QueueBytes: 20 * 1000, AllowPatterns: true}, "/m/0", 31},
		"many bytes, a pattern": {Options{QueueBytes: 20 * 1000, AllowPatterns: true}, "/m/*", 31},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, c.opt)
			pad := strings.Repeat(" ", 1000)
			for i := range 40 {
				s.publish(say("/m/0", fmt.Sprint(i)+pad))
			}
			id := s.handshake("")
			r := s.replayed(id, c.channel)
			skipped, _ := skippedOf(r, c.channel).(float64)
			if skipped != c.skipped {
				t.Errorf("told of %v left out, want %v: %v", skipped, c.skipped, r)
			}
			s.publish(say("/m/0", "live"))
			got := s.pollNow(id, "1")
			want := append(countTo(int(c.skipped), 40), "live")
			for i := range got {
				got[i] = strings.TrimRight(got[i].(string), " ")
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestReplayThatFitsTellsOfNothingLeftOut(t *testing.T) {
	s := start(t, Options{QueueBytes: 1000})
	s.publish(say("/a", strings.Repeat("x", 2000))) // one message always fits
	if r := s.replayed(s.handshake(""), "/a"); r["ext"] != nil {
		t.Errorf("reply %v", r)
	}
}

func TestRepeatedSubscriptionIsReplayedOnce(t *testing.T) {
	s := start(t, Options{QueueMessages: 20, AllowPatterns: true})
	for i := range 8 {
		s.publish(say("/a/1", fmt.Sprint(i)))
	}
	id := s.handshake("")
	for _, channel := range []string{"/a/1", "/a/1", "/a/*", "/a/1", "/a/**"} {
		s.replayed(id, channel)
	}
	if got := s.pollNow(id, "1"); !reflect.DeepEqual(got, countTo(0, 8)) {
		t.Errorf("got %v", got)
	}
	s.replayed(id, "/a/1") // it was asked for again after the first was fetched
	if got := s.pollNow(id, "2"); len(got) != 8 {
		t.Errorf("the second time: %v", got)
	}
}

func TestReplaysOfManySubscriptionsShareTheQueue(t *testing.T) {
	s := start(t, Options{QueueMessages: 40})
	var names []string
	for c := range 5 {
		names = append(names, fmt.Sprint("/c/", c))
		for i := range 12 {
			s.publish(say(names[c], fmt.Sprint(i)))
		}
	}
	id := s.handshake("")
	for _, name := range names {
		s.replayed(id, name)
	}
	if got := s.pollNow(id, "1"); len(got) != 20 {
		t.Errorf("%d messages, want the half of the queue", len(got))
	}
}

func TestLatestLargerThanTheQueueIsCutToItsNewest(t *testing.T) {
	s := start(t, Options{QueueMessages: 20})
	var events []Event
	for i := range 30 {
		events = append(events, say("/a", fmt.Sprint(i)))
	}
	s.door.latest = latestOf(events...)
	id := s.handshake("")
	s.subscribe(id, "/a")
	if got := textsOf(s.wait(id, 10)); !reflect.DeepEqual(got, countTo(20, 30)) {
		t.Errorf("got %v", got)
	}
}

// A session that overflows again and again must not make its client shake hands without a pause.
func TestOverflowMakesTheClientPause(t *testing.T) {
	overflow := func(s *site) {
		for i := range 10 {
			s.publish(say("/a", fmt.Sprint(i)))
		}
	}
	wantPause := func(t *testing.T, r object) {
		t.Helper()
		advice, _ := r["advice"].(object)
		if interval, _ := advice["interval"].(float64); advice["reconnect"] != "handshake" || interval < 5000 || interval > 10_000 {
			t.Errorf("told %v", r)
		}
		if text, _ := r["error"].(string); !strings.HasPrefix(text, "401:") {
			t.Errorf("told %v", r)
		}
	}
	t.Run("connect", func(t *testing.T) {
		s := start(t, Options{QueueMessages: 5})
		id := s.handshake("")
		s.subscribe(id, "/a")
		overflow(s)
		wantPause(t, s.post(connectBody(id, "1"))[0])
		wantPause(t, s.post(streamConnect(id, "1"))[0])
		if s.srv.sweepOverflows(time.Now().Add(s.srv.opt.Expiry)); len(s.srv.overflows) != 0 {
			t.Error("it is remembered for ever")
		}
	})
	t.Run("held", func(t *testing.T) {
		s := start(t, Options{})
		w := s.dial(nil)
		id := s.join(w, "/a")
		s.srv.destroy(s.srv.session(id), overflowed, "test")
		wantPause(t, w.next())
	})
	t.Run("stream", func(t *testing.T) {
		s := start(t, Options{})
		id := s.handshake("")
		e := s.stream(id, "")
		s.srv.destroy(s.srv.session(id), overflowed, "test")
		wantPause(t, e.message().frame[0])
	})
}

func TestReplayByPatternLeavesReservedChannelsOut(t *testing.T) {
	s := start(t, Options{AllowPatterns: true})
	for _, stream := range []string{"/service/x", "/meta/x", "/service"} {
		s.publish(say(stream, "secret"))
	}
	s.publish(say("/b", "open"))
	s.publish(say("/servicex", "open"))
	for _, pattern := range []string{"/**", "/*"} {
		id := s.handshake("")
		s.replayed(id, pattern)
		s.publish(say("/end", "end"))
		var got []any
		for turn := 0; !slices.Contains(got, any("end")); turn++ {
			got = append(got, s.pollNow(id, fmt.Sprint(turn))...)
		}
		if slices.Contains(got, any("secret")) || len(got) < 3 {
			t.Errorf("%s: %v", pattern, got)
		}
	}
}

// latestOf is a Latest that returns these events.
func latestOf(events ...Event) func(context.Context, string) ([]Event, error) {
	return func(context.Context, string) ([]Event, error) { return events, nil }
}

func TestLatestByPatternLeavesReservedChannelsOut(t *testing.T) {
	s := start(t, Options{AllowPatterns: true})
	s.door.latest = latestOf(say("/service/x", "secret"), say("/meta/x", "secret"), say("/b", "open"))
	id := s.handshake("")
	s.subscribe(id, "/**")
	if got := s.wait(id, 1); len(got) != 1 || got[0]["data"] != "open" {
		t.Errorf("got %v", got)
	}
}
