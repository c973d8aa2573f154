package redisbus_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"exporthub/pkg/bayeux"
	"exporthub/pkg/bayeux/redisbus"
)

// A worker publishes, every replica receives.
func Example() {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()

	replica := redisbus.New(client, "events", redisbus.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready, received, done := make(chan struct{}), make(chan bayeux.Event, 1), make(chan error, 1)
	go func() { // a bayeux.Server's Run does this
		done <- replica.Run(ctx, func(e bayeux.Event) { received <- e }, func() { close(ready) })
	}()
	<-ready

	worker := redisbus.New(client, "events", redisbus.Options{})
	e := bayeux.Event{Streams: []string{"job:7"}, Key: "7", Seq: 3, Data: json.RawMessage(`{"percent":40}`)}
	if err := worker.Publish(ctx, e); err != nil {
		fmt.Println(err)
		return
	}
	got := <-received
	fmt.Println(got.Streams, got.Seq, string(got.Data))
	cancel()
	fmt.Println(<-done)
	// Output:
	// [job:7] 3 {"percent":40}
	// <nil>
}
