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

// lobby lets everybody in, and everybody hear /news.
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

	cancel() // clients are told to come back elsewhere
	fmt.Println(<-done)
	// Output:
	// 403:/elsewhere:Forbidden channel
	// true
	// {Sessions:1 Sockets:0 Subscriptions:1}
	// <nil>
}
