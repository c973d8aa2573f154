package bayeux

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

const nodeDir = "testdata/node"

// installStockClient brings the npm packages where they are missing.
var installStockClient = sync.OnceValue(func() error {
	if _, err := exec.LookPath("node"); err != nil {
		return errors.New("this test needs Node.js: install node and npm")
	}
	if _, err := os.Stat(filepath.Join(nodeDir, "node_modules", "cometd-nodejs-client")); err == nil {
		return nil
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = nodeDir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return nil
})

// stockClient is one client in a node process.
type stockClient struct {
	t     testing.TB
	page  string
	in    *json.Encoder
	lines chan stockEvent
}

type stockEvent struct {
	Page, Event, Channel, Message string
	Code                          int
	Data                          any
}

type command struct {
	Page     string   `json:"page,omitempty"`
	Op       string   `json:"op"`
	Channel  string   `json:"channel,omitempty"`
	Channels []string `json:"channels,omitempty"`
	Data     any      `json:"data,omitempty"`
	Replay   *int     `json:"replay,omitempty"`
	Address  string   `json:"address,omitempty"`
	Endpoint string   `json:"endpoint,omitempty"`
	Disabled []string `json:"disabled,omitempty"`
}

// startNode runs a script that takes commands and reports events, each given to receive, until the
// test ends.
func startNode(t testing.TB, receive func(stockEvent), dir string, args ...string) *json.Encoder {
	t.Helper()
	if err := installStockClient(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			var e stockEvent
			if err := json.Unmarshal(scan.Bytes(), &e); err != nil {
				t.Errorf("%s said %q", args[0], scan.Text())
				_, _ = io.Copy(io.Discard, out)
				return
			}
			receive(e)
		}
	}()
	t.Cleanup(func() {
		in.Close() // at which it exits
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", args[0], err)
		}
	})
	return json.NewEncoder(in)
}

func startStockClient(t testing.TB, url, disabled string) *stockClient {
	t.Helper()
	c := &stockClient{t: t, lines: make(chan stockEvent, 10_000)}
	c.in = startNode(t, func(e stockEvent) { c.lines <- e }, nodeDir, "client.js", url, disabled)
	return c
}

func (c *stockClient) do(cmd command) {
	c.t.Helper()
	cmd.Page = c.page
	if err := c.in.Encode(cmd); err != nil {
		c.t.Fatal(err)
	}
}

// want waits for an event of that kind; messages can't be passed over on the way.
func (c *stockClient) want(kind string) stockEvent {
	c.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case e := <-c.lines:
			if e.Event == kind {
				return e
			}
			if e.Event == "message" || e.Event == "refused" || e.Event == "broken" {
				c.t.Fatalf("got %+v, want %s", e, kind)
			}
		case <-timeout:
			c.t.Fatalf("%s never came", kind)
		}
	}
}

// wantMessages waits for these messages of one channel, in this order.
func (c *stockClient) wantMessages(channel string, list ...string) {
	c.t.Helper()
	for _, text := range list {
		if e := c.want("message"); e.Channel != channel || e.Data != text {
			c.t.Fatalf("got %+v, want %q on %s", e, text, channel)
		}
	}
}

// replica is a server at an address, so that it can end and another take its place.
type replica struct {
	t   testing.TB
	srv *Server
	bus *LocalBus
	url string // of the mount
	end func()
}

func replicaAt(t testing.TB, addr string) *replica {
	t.Helper()
	r := &replica{t: t, bus: &LocalBus{}}
	auth := talker{door: &door{dead: map[string]bool{}}}
	var err error
	r.srv, err = New(auth, r.bus, Options{
		Timeout: 2 * time.Second, DrainSpread: time.Millisecond, AllowPatterns: true, AnonymousFromAnyOrigin: true, Client: os.DirFS(clientFiles),
	})
	if err != nil {
		t.Fatal(err)
	}
	var listener net.Listener
	eventually(t, "the address is free", func() bool {
		listener, err = net.Listen("tcp", addr)
		return err == nil
	})
	r.url = "http://" + listener.Addr().String() + "/faye"
	mux := http.NewServeMux()
	mux.Handle("/", r.srv)
	mux.Handle("/page", page(r.url))
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := r.srv.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	work.Go(func() { _ = web.Serve(listener) }) // ends by Close below
	r.end = sync.OnceFunc(func() {
		cancel()
		eventually(t, "clients are notified", func() bool { return r.srv.Stats() == Stats{} })
		_ = web.Close()
		work.Wait()
	})
	t.Cleanup(r.end)
	eventually(t, "the bus is up", func() bool {
		r.bus.mu.Lock()
		defer r.bus.mu.Unlock()
		return len(r.bus.servers) == 1
	})
	return r
}

func (r *replica) publish(stream string, list ...string) {
	r.t.Helper()
	for _, text := range list {
		if err := r.bus.Publish(context.Background(), say(stream, text)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// page is a page that has the stock client.
func page(endpoint string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><title>page</title><link rel="icon" href="data:,"><script src=%q></script>`, endpoint+"/client.js")
	})
}

func count(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Itoa(i)
	}
	return list
}

// exercise takes a stock client through all that a page does.
func (r *replica) exercise(c *stockClient, transport string) {
	t := c.t
	c.do(command{Op: "subscribe", Channel: "/export/1"})
	c.want("subscribed")
	r.publish("/export/1", count(100)...) // in order, however they are cut into frames and polls
	c.wantMessages("/export/1", count(100)...)
	c.do(command{Op: "transport"})
	if e := c.want("transport"); e.Message != transport {
		t.Fatalf("the client went by %s", e.Message)
	}

	for _, channel := range []string{"/secret/1", "/secret/*", "/service/x", "/meta/connect"} {
		c.do(command{Op: "subscribe", Channel: channel})
		if e := c.want("refused"); e.Code != 403 || e.Message != "Forbidden channel" || e.Channel != channel {
			t.Fatalf("refusal: %+v", e)
		}
	}

	c.do(command{Op: "subscribe", Channel: "/team/*"})
	c.want("subscribed")
	r.publish("/team/7/8", "too deep")
	r.publish("/team/7", "of a set")
	c.wantMessages("/team/7", "of a set")
	c.do(command{Op: "unsubscribe", Channel: "/team/*"})
	// A publish where no rule allows it, and comes after.
	if e := c.want("unsubscribed"); e.Code != 403 {
		t.Fatalf("publish: %+v", e)
	}
	eventually(t, "it is unsubscribed", func() bool { return r.srv.Stats().Subscriptions == 1 })
	r.publish("/team/7", "unreceived")
	r.publish("/export/1", "received")
	c.wantMessages("/export/1", "received")

	batch := []string{"/chat/1", "/chat/2", "/chat/3"}
	c.do(command{Op: "batch", Channels: batch, Data: "said"})
	received := map[string]bool{}
	for done := 0; done < 2 || len(received) < len(batch); {
		select {
		case e := <-c.lines:
			switch e.Event {
			case "message":
				received[e.Channel] = true
			case "subscribed", "published":
				done++
			case "refused", "broken":
				t.Fatalf("batch: %+v", e)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("batch: received %v", received)
		}
	}

	r.publish("/past/1", "before", "between")
	zero := 0
	c.do(command{Op: "subscribe", Channel: "/past/1", Replay: &zero})
	c.wantMessagesBeside("subscribed", "/past/1", "before", "between")

	r.end()
	next := replicaAt(t, r.url[len("http://"):len(r.url)-len("/faye")])
	next.publish("/past/1", "while away")
	eventually(t, "the client subscribes anew", func() bool { return next.srv.Stats().Subscriptions == 5 })
	c.wantMessages("/past/1", "while away")
	next.publish("/export/1", "after the restart")
	c.wantMessages("/export/1", "after the restart")

	c.do(command{Op: "disconnect"})
	c.want("disconnected")
	eventually(t, "all is gone", func() bool { return next.srv.Stats() == Stats{} })
}

// wantMessagesBeside waits for messages and an event, in whatever order it comes among them.
func (c *stockClient) wantMessagesBeside(kind, channel string, list ...string) {
	c.t.Helper()
	for beside := false; len(list) > 0 || !beside; {
		select {
		case e := <-c.lines:
			switch {
			case e.Event == kind:
				beside = true
			case e.Event == "message" && len(list) > 0 && e.Channel == channel && e.Data == list[0]:
				list = list[1:]
			case e.Event == "message" || e.Event == "refused" || e.Event == "broken":
				c.t.Fatalf("got %+v, want %v", e, list)
			}
		case <-time.After(20 * time.Second):
			c.t.Fatalf("%v never came", list)
		}
	}
}

func TestStockClientInNode(t *testing.T) {
	for transport, disabled := range map[string]string{"websocket": "", "long-polling": "websocket"} {
		t.Run(transport, func(t *testing.T) {
			r := replicaAt(t, "127.0.0.1:0")
			r.exercise(startStockClient(t, r.url, disabled), transport)
		})
	}
}
