package bayeux_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"exporthub/pkg/bayeux"
)

// lobby lets everybody in, and everybody follow /news.
type lobby struct{}

func (lobby) Handshake(context.Context, bayeux.Request) (bayeux.Principal, error) {
	return bayeux.Principal{}, nil
}

func (lobby) Subscribe(_ context.Context, _ bayeux.Principal, channel string) (bayeux.Grant, error) {
	if channel != "/news" {
		return bayeux.Grant{}, errors.New("there is only /news")
	}
	return bayeux.Grant{}, nil
}

func (lobby) Alive(context.Context, bayeux.Principal) bool { return true }

func Example() {
	bus := &bayeux.LocalBus{}
	srv, err := bayeux.New(lobby{}, bus, bayeux.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	web := httptest.NewServer(srv)
	defer web.Close()

	ask := func(message string) (replies []map[string]any) {
		res, err := http.Post(web.URL+"/faye", "application/json", strings.NewReader(message))
		if err != nil {
			fmt.Println(err)
			return nil
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		if err := json.Unmarshal(body, &replies); err != nil {
			fmt.Println(err)
		}
		return replies
	}
	id := ask(`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}`)[0]["clientId"].(string)
	fmt.Println(ask(`{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":"/elsewhere"}`)[0]["error"])
	fmt.Println(ask(`{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":"/news"}`)[0]["successful"])
	fmt.Printf("%+v\n", srv.Stats())

	cancel() // clients are advised to come back elsewhere
	fmt.Println(<-done)
	// Output:
	// 403:/elsewhere:Forbidden channel
	// true
	// {Sessions:1 Sockets:0 Subscriptions:1}
	// <nil>
}

// chat lets everybody in and everybody talk, in rooms.
type chat struct{ lobby }

func (chat) Subscribe(_ context.Context, _ bayeux.Principal, channel string) (bayeux.Grant, error) {
	return bayeux.Grant{}, inRoom(channel)
}

func (chat) Publish(_ context.Context, _ bayeux.Principal, m bayeux.Publication) error {
	return inRoom(m.Channel)
}

func inRoom(channel string) error {
	if !strings.HasPrefix(channel, "/room/") {
		return errors.New("there are only rooms")
	}
	return nil
}

// An Authorizer that is a Publisher lets clients publish where it allows.
func ExamplePublisher() {
	web, stop := serve(chat{}, &bayeux.LocalBus{}, bayeux.Options{})
	defer stop()
	id := shakeHands(web)
	ask(web, `{"channel":"/meta/subscribe","clientId":"`+id+`","subscription":"/room/1"}`)
	fmt.Println(ask(web, `{"channel":"/elsewhere","clientId":"`+id+`","data":"hi","id":"1"}`)[0]["error"])
	fmt.Println(ask(web, `{"channel":"/room/1","clientId":"`+id+`","data":"hi","id":"2"}`)[0]["successful"])
	fmt.Println(ask(web, `{"channel":"/meta/connect","clientId":"`+id+`","connectionType":"long-polling","id":"3"}`)[1]["data"])
	// Output:
	// 403:/elsewhere:Forbidden channel
	// true
	// hi
}

// jobs shows each job under its number and under its owner's name.
type jobs struct{ lobby }

func (jobs) Subscribe(_ context.Context, _ bayeux.Principal, channel string) (bayeux.Grant, error) {
	return bayeux.Grant{
		Stream: map[string]string{"/job/7": "job:7", "/owner/ann": "owner:ann"}[channel],
		Latest: func(context.Context) ([]bayeux.Event, error) {
			return []bayeux.Event{{Key: "7", Seq: 1, Data: json.RawMessage(`"10 %"`)}}, nil
		},
	}, nil
}

// A Grant names the stream that feeds a channel, and what a late subscriber has to get first.
func ExampleGrant() {
	bus := &bayeux.LocalBus{}
	web, stop := serve(jobs{}, bus, bayeux.Options{})
	defer stop()
	id := shakeHands(web)
	connect := func(turn int) {
		reply := ask(web, fmt.Sprintf(`{"channel":"/meta/connect","clientId":%q,"connectionType":"long-polling","id":"%d"}`, id, turn))
		for _, m := range reply[1:] {
			fmt.Println(m["channel"], m["data"])
		}
	}
	ask(web, `{"channel":"/meta/subscribe","clientId":"`+id+`","subscription":"/owner/ann"}`)
	connect(1)
	e := bayeux.Event{Streams: []string{"job:7", "owner:ann"}, Key: "7", Seq: 2, Final: true, Data: json.RawMessage(`"done"`)}
	if err := bus.Publish(context.Background(), e); err != nil {
		fmt.Println(err)
	}
	connect(2)
	// Output:
	// /owner/ann 10 %
	// /owner/ann done
}

// A subscribe may ask for what was missed.
func Example_replay() {
	bus := &bayeux.LocalBus{}
	web, stop := serve(lobby{}, bus, bayeux.Options{ReplayEvents: 50})
	defer stop()
	for n := range uint64(3) {
		e := bayeux.Event{Streams: []string{"/news"}, Seq: n + 1, Data: json.RawMessage(fmt.Sprintf(`"story %d"`, n+1))}
		if err := bus.Publish(context.Background(), e); err != nil {
			fmt.Println(err)
		}
	}
	id := shakeHands(web)
	ask(web, `{"channel":"/meta/subscribe","clientId":"`+id+`","subscription":"/news","ext":{"replay":1}}`)
	for _, m := range ask(web, `{"channel":"/meta/connect","clientId":"`+id+`","connectionType":"long-polling","id":"1"}`)[1:] {
		fmt.Println(m["data"])
	}
	// Output:
	// story 2
	// story 3
}

// started is a bus that says when its server listens, so that an example loses nothing.
type started struct {
	bayeux.Bus
	ready chan struct{}
}

func (s started) Run(ctx context.Context, deliver func(bayeux.Event), resync func()) error {
	return s.Bus.Run(ctx, deliver, func() { resync(); close(s.ready) })
}

// serve runs a server for an example.
func serve(auth bayeux.Authorizer, bus bayeux.Bus, opt bayeux.Options) (web *httptest.Server, stop func()) {
	ready := make(chan struct{})
	srv, err := bayeux.New(auth, started{bus, ready}, opt)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	<-ready
	web = httptest.NewServer(srv)
	return web, func() {
		cancel()
		if err := <-done; err != nil {
			fmt.Println(err)
		}
		web.Close()
		http.DefaultClient.CloseIdleConnections()
	}
}

func shakeHands(web *httptest.Server) string {
	return ask(web, `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}`)[0]["clientId"].(string)
}

func ask(web *httptest.Server, message string) (replies []map[string]any) {
	res, err := http.Post(web.URL+"/faye", "application/json", strings.NewReader(message))
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&replies); err != nil {
		panic(err)
	}
	return replies
}
