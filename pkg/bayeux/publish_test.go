package bayeux

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/bayeux/internal/protocol"
)

// talker is a door through which clients may publish to /chat and /service.
type talker struct {
	*door
	service chan string
}

func (k talker) Publish(_ context.Context, p Principal, m Publication) error {
	switch protocol.FirstSegment(m.Channel) {
	case "chat":
		return nil
	case "service":
		k.service <- p.ID + " " + string(m.Data)
		return nil
	case "busy":
		return &Refusal{RetryAfter: time.Second}
	case "odd":
		return &Refusal{Code: 406, Text: "Not: like 'this'"}
	}
	return errors.New("not there")
}

func startTalk(t *testing.T, opt Options) (*site, talker) {
	t.Helper()
	k := talker{service: make(chan string, 10)}
	opt.AllowPatterns = true
	return startAs(t, opt, func(d *door) Authorizer { k.door = d; return k }), k
}

func say2(id, channel, msgID, data string) string {
	return `{"channel":"` + channel + `","clientId":"` + id + `","id":"` + msgID + `","data":` + data + `}`
}

func TestPublishReachesSubscribersAndThePublisher(t *testing.T) {
	s, _ := startTalk(t, Options{})
	speaker, hearer := s.handshake("ann"), s.handshake("")
	s.subscribe(speaker, "/chat/1")
	s.subscribe(hearer, "/chat/**")
	r := s.post(say2(speaker, "/chat/1", "6", `{"n":1}`))
	want := []object{{"id": "6", "clientId": speaker, "channel": "/chat/1", "successful": true}}
	if !reflect.DeepEqual(r, want) {
		t.Fatalf("reply %v", r)
	}
	for _, id := range []string{speaker, hearer} {
		if got := s.pollNow(id, "1"); !reflect.DeepEqual(got, []any{object{"n": 1.0}}) {
			t.Errorf("delivered %v", got)
		}
	}
	s.post(say2(speaker, "/chat/1", "7", `null`))
	if got := s.pollNow(hearer, "2"); !reflect.DeepEqual(got, []any{nil}) {
		t.Errorf("null delivered as %v", got)
	}
}

func TestPublishIsForwardedAsChannelAndDataOnly(t *testing.T) {
	s, _ := startTalk(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/chat/1")
	s.post(`{"channel":"/chat/1","clientId":"` + id + `","id":"1","data":1,"advice":{"reconnect":"none"},"ext":{"token":"x"},"successful":true,"error":"403::x"}`)
	if got := s.wait(id, 1)[0]; !reflect.DeepEqual(got, object{"channel": "/chat/1", "data": 1.0}) {
		t.Errorf("delivered %v", got)
	}
}

func TestPublishRefusals(t *testing.T) {
	s, _ := startTalk(t, Options{})
	id := s.handshake("")
	for _, row := range []struct{ message, err string }{
		{say2(id, "/other/1", "1", "1"), "403:/other/1:Forbidden channel"},
		{say2(id, "/odd", "1", "1"), "406:/odd:Not_ like _this_"},
		{say2(id, "/meta/x", "1", "1"), "403:/meta/x:Forbidden channel"},
		{say2(id, "/chat/*", "1", "1"), "405:/chat/*:Invalid channel"},
		{say2("nobody", "/chat/1", "1", "1"), "401:nobody:Unknown client"},
		{`{"channel":"/chat/1","data":1}`, "402:clientId:Missing required parameter"},
		{`{"channel":"/chat/*","clientId":"nobody"}`, "402:data:Missing required parameter"},
	} {
		if r := s.post(row.message)[0]; r["error"] != row.err || r["successful"] != false || r["advice"] != nil {
			t.Errorf("%s: %v, want %s", row.message, r, row.err)
		}
	}
	if _, err := s.tryPost(t.Context(), say2(id, "/busy", "1", "1")); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a passing trouble: %v", err)
	}
}

func TestServiceMessagesReachOnlyTheServer(t *testing.T) {
	s, k := startTalk(t, Options{})
	id := s.handshake("ann")
	s.subscribe(id, "/**")
	if r := s.post(say2(id, "/service/x", "1", `"hello"`))[0]; r["successful"] != true {
		t.Fatal(r)
	}
	if got := <-k.service; got != `ann "hello"` {
		t.Errorf("the server got %s", got)
	}
	s.publish(say("/b", "after"))
	if got := s.pollNow(id, "1"); !reflect.DeepEqual(got, []any{"after"}) {
		t.Errorf("delivered %v", got)
	}
}

func TestRepeatedPublishIsDeliveredOnce(t *testing.T) {
	s, _ := startTalk(t, Options{})
	speaker, hearer, other := s.handshake(""), s.handshake(""), s.handshake("")
	s.subscribe(hearer, "/chat/1")
	var work sync.WaitGroup
	for range 5 {
		work.Go(func() {
			if r := s.post(say2(speaker, "/chat/1", "6", `"once"`))[0]; r["successful"] != true {
				t.Error(r)
			}
		})
	}
	work.Wait()
	s.post(say2(speaker, "/chat/1", "7", `"next"`))
	s.post(say2(other, "/chat/1", "6", `"another's"`))
	for range 2 { // without an id there is nothing to distinguish them by
		s.post(`{"channel":"/chat/1","clientId":"` + speaker + `","data":"nameless"}`)
	}
	if got := s.pollNow(hearer, "1"); !reflect.DeepEqual(got, []any{"once", "next", "another's", "nameless", "nameless"}) {
		t.Errorf("delivered %v", got)
	}
}

func TestServiceMessagesAreCarriedOutOnce(t *testing.T) {
	s, k := startTalk(t, Options{})
	id := s.handshake("ann")
	for range 3 {
		if r := s.post(say2(id, "/service/pay", "6", `"once"`))[0]; r["successful"] != true {
			t.Fatal(r)
		}
	}
	s.post(say2(id, "/service/pay", "7", `"next"`))
	if first, second := <-k.service, <-k.service; first != `ann "once"` || second != `ann "next"` {
		t.Errorf("carried out %s, then %s", first, second)
	}
}

func TestServiceMessagesArePaced(t *testing.T) {
	s, k := startTalk(t, Options{PublishRate: 1, PublishBurst: 3})
	id := s.handshake("ann")
	var refused int
	for i := range 5 {
		if s.post(say2(id, "/service/x", fmt.Sprint(i), "1"))[0]["error"] == "407:/service/x:Publishing too fast" {
			refused++
		}
	}
	if refused == 0 || len(k.service)+refused != 5 {
		t.Errorf("%d refused, %d carried out", refused, len(k.service))
	}
}

// A refused message was not published: the same one may be allowed a moment later.
func TestRefusedPublishMayBeRepeated(t *testing.T) {
	s, k := startTalk(t, Options{})
	id := s.handshake("")
	if r := s.post(say2(id, "/other/1", "1", "1"))[0]; r["successful"] != false {
		t.Fatal(r)
	}
	s.post(say2(id, "/service/x", "1", `"now"`))
	if len(k.service) != 1 {
		t.Error("its id is taken for published")
	}
}

func TestMessagesOfOneBatchShareAResponse(t *testing.T) {
	const messages = 40
	s, _ := startTalk(t, Options{})
	speaker := s.handshake("")
	var batch []string
	for i := range messages {
		batch = append(batch, say2(speaker, "/chat/1", fmt.Sprint(i), fmt.Sprintf("%q", fmt.Sprint(i))))
	}
	body := "[" + strings.Join(batch, ",") + "]"
	for turn, send := range []func(){func() { s.post(body) }, func() { s.dial(nil).send(strings.ReplaceAll(body, `"id":"`, `"id":"w`)) }} {
		hearer := s.handshake("")
		s.subscribe(hearer, "/chat/1")
		answer := make(chan []object, 1)
		go func() { answer <- s.post(connectBody(hearer, "1")) }()
		s.held(hearer)
		send()
		if got := data(<-answer); !reflect.DeepEqual(got, countTo(0, messages)) {
			t.Errorf("turn %d: the first response carries %v", turn, got)
		}
	}
}

// observer allows every publish and looks at the server while it does.
type observer struct {
	*door
	look func()
}

func (o observer) Publish(context.Context, Principal, Publication) error {
	o.look()
	return nil
}

// A connect in a batch may wait, so that for everybody else the batch is over before it.
func TestConnectEndsABatch(t *testing.T) {
	var s *site
	open := make(chan int, 3)
	s = startAs(t, Options{}, func(d *door) Authorizer {
		return observer{d, func() {
			s.srv.batches.mu.Lock()
			defer s.srv.batches.mu.Unlock()
			open <- s.srv.batches.open
		}}
	})
	id := s.handshake("")
	s.post("[" + strings.Join([]string{say2(id, "/chat/1", "1", "1"), say2(id, "/chat/1", "2", "2"),
		`{"channel":"/meta/connect","clientId":"` + id + `","connectionType":"long-polling","advice":{"timeout":0}}`,
		say2(id, "/chat/1", "3", "3")}, ",") + "]")
	if got := []int{<-open, <-open, <-open}; !reflect.DeepEqual(got, []int{1, 1, 0}) {
		t.Errorf("%v batches are open at the three publishes, want 1 before the connect and 0 after it", got)
	}
}

// A batch that takes long, by its rule or for its length, does not keep others waiting for long.
func TestSlowBatchDoesNotKeepOthersWaiting(t *testing.T) {
	var b batches
	end, second := b.begin(), b.begin()
	b.wait(t.Context()) // returns after a while
	ended := make(chan struct{})
	go func() { b.wait(context.Background()); close(ended) }()
	end()
	second()
	<-ended
	if b.wait(t.Context()); b.done != nil {
		t.Error("it is not known to have ended")
	}
}

func TestPublishedIDsAreDropped(t *testing.T) {
	var p published
	at := time.Now()
	p.add("0", at)
	if !p.seen("0", at.Add(publishMemory-1)) || p.seen("0", at.Add(publishMemory)) {
		t.Error("an id is not known for just a minute")
	}
	for i := range 10 * maxPublished {
		p.add(fmt.Sprint(i), at)
	}
	if len(p.at) != maxPublished || len(p.order) != maxPublished || p.seen("0", at) {
		t.Errorf("%d ids", len(p.at))
	}
}

func TestPublishIsPaced(t *testing.T) {
	s, _ := startTalk(t, Options{PublishRate: 1, PublishBurst: 3})
	id := s.handshake("")
	var batch []string
	for i := range 5 {
		batch = append(batch, say2(id, "/chat/1", fmt.Sprint(i), "1"))
	}
	var refused int
	for _, r := range s.post("[" + strings.Join(batch, ",") + "]") {
		if r["error"] == "407:/chat/1:Publishing too fast" {
			refused++
		} else if r["successful"] != true {
			t.Error(r)
		}
	}
	if refused != 2 {
		t.Errorf("%d of 5 refused, want 2", refused)
	}
}

// brokenBus can't publish.
type brokenBus struct{ LocalBus }

func (*brokenBus) Publish(context.Context, Event) error { return errors.New("no link") }

func TestPublishThatFailsMayBeRepeated(t *testing.T) {
	s, _ := startTalk(t, Options{})
	whole := s.srv.bus
	s.srv.bus = &brokenBus{}
	id := s.handshake("")
	s.subscribe(id, "/chat/1")
	if r := s.post(say2(id, "/chat/1", "1", "1"))[0]; r["error"] != "407:/chat/1:Failed to publish" {
		t.Error(r)
	}
	s.srv.bus = whole
	if r := s.post(say2(id, "/chat/1", "1", "1"))[0]; r["successful"] != true {
		t.Error(r)
	}
	if got := s.pollNow(id, "1"); len(got) != 1 {
		t.Errorf("delivered %v", got)
	}
}

func TestBucket(t *testing.T) {
	var b bucket
	at := time.Now()
	for i := range 3 {
		if !b.take(at, 2, 3) {
			t.Fatalf("refused at %d", i)
		}
	}
	if b.take(at, 2, 3) || b.full(at.Add(time.Second), 2) {
		t.Error("the burst is not counted")
	}
	for i, want := range []bool{true, true, false} {
		if b.take(at.Add(time.Second), 2, 3) != want {
			t.Errorf("a second later, thing %d is not %v", i, want)
		}
	}
	if !b.full(at.Add(time.Hour), 2) {
		t.Error("it is never full again")
	}
}
