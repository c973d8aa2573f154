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
	"sync"
	"testing"
	"time"
)

const nodeDir = "testdata/node"

// installStockClient brings the npm package where it is missing.
var installStockClient = sync.OnceValue(func() error {
	if _, err := exec.LookPath("node"); err != nil {
		return errors.New("this test needs Node.js: install node and npm")
	}
	if _, err := os.Stat(filepath.Join(nodeDir, "node_modules", "faye")); err == nil {
		return nil
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = nodeDir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return nil
})

// stockClient is a node process with the stock client in it.
type stockClient struct {
	t     testing.TB
	in    io.WriteCloser
	lines chan stockEvent
}

type stockEvent struct {
	Event, Channel, Message string
	Code                    int
	Data                    any
}

func startStockClient(t testing.TB, url, transport string) *stockClient {
	t.Helper()
	if err := installStockClient(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "client.js", url, transport)
	cmd.Dir = nodeDir
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
	c := &stockClient{t: t, in: in, lines: make(chan stockEvent, 10_000)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			var e stockEvent
			if err := json.Unmarshal(scan.Bytes(), &e); err != nil {
				t.Errorf("client.js said %q", scan.Text())
				return
			}
			c.lines <- e
		}
	}()
	t.Cleanup(func() {
		in.Close() // at which it exits
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("client.js: %v", err)
		}
	})
	return c
}

func (c *stockClient) do(op, channel string) {
	c.t.Helper()
	if err := json.NewEncoder(c.in).Encode(map[string]string{"op": op, "channel": channel}); err != nil {
		c.t.Fatal(err)
	}
}

// want waits for an event of that kind; messages can't be passed over on the way.
func (c *stockClient) want(kind string) stockEvent {
	c.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case e := <-c.lines:
			if e.Event == kind {
				return e
			}
			if e.Event == "message" || e.Event == "refused" {
				c.t.Fatalf("got %+v, want %s", e, kind)
			}
		case <-timeout:
			c.t.Fatalf("%s never came", kind)
		}
	}
}

// replicaAt runs a server at an address, so that it can end and another take its place.
func replicaAt(t testing.TB, addr string) (srv *Server, bus *LocalBus, url string, end func()) {
	t.Helper()
	bus = &LocalBus{}
	srv, err := New(&door{dead: map[string]bool{}}, bus, Options{Timeout: 2 * time.Second, DrainSpread: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var listener net.Listener
	eventually(t, "the address is free", func() bool {
		listener, err = net.Listen("tcp", addr)
		return err == nil
	})
	web := &http.Server{Handler: srv, ReadHeaderTimeout: 5 * time.Second}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := srv.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	work.Go(func() { _ = web.Serve(listener) }) // ends by Close below
	end = sync.OnceFunc(func() {
		cancel()
		eventually(t, "clients are told", func() bool { return srv.Stats() == Stats{} })
		_ = web.Close()
		work.Wait()
	})
	t.Cleanup(end)
	return srv, bus, "http://" + listener.Addr().String() + "/faye", end
}

func TestStockClient(t *testing.T) {
	for _, transport := range []string{"websocket", "long-polling"} {
		t.Run(transport, func(t *testing.T) {
			srv, bus, url, end := replicaAt(t, "127.0.0.1:0")
			publish := func(stream, text string) {
				t.Helper()
				if err := bus.Publish(t.Context(), say(stream, text)); err != nil {
					t.Fatal(err)
				}
			}
			c := startStockClient(t, url, transport)
			wantMessage := func(channel string, text string) {
				t.Helper()
				if e := c.want("message"); e.Channel != channel || e.Data != text {
					t.Fatalf("got %+v, want %q on %s", e, text, channel)
				}
			}

			c.do("subscribe", "/export/1")
			c.want("subscribed")
			for i := range 100 { // in order, however they are cut into frames and polls
				publish("/export/1", fmt.Sprint(i))
			}
			for i := range 100 {
				wantMessage("/export/1", fmt.Sprint(i))
			}
			if sockets := srv.Stats().Sockets; (sockets == 1) != (transport == "websocket") {
				t.Fatalf("%d sockets on %s", sockets, transport)
			}

			for _, channel := range []string{"/secret/1", "/**", "/service/x"} {
				c.do("subscribe", channel)
				if e := c.want("refused"); e.Code != 403 || e.Message != "Forbidden channel" || e.Channel != channel {
					t.Fatalf("refusal: %+v", e)
				}
			}

			c.do("subscribe", "/export/2")
			c.want("subscribed")
			c.do("unsubscribe", "/export/2")
			if e := c.want("unsubscribed"); e.Code != 403 { // a publish is refused, and comes after
				t.Fatalf("publish: %+v", e)
			}
			eventually(t, "it is unsubscribed", func() bool { return srv.Stats().Subscriptions == 1 })
			publish("/export/2", "unheard")
			publish("/export/1", "heard")
			wantMessage("/export/1", "heard")

			end()
			addr := url[len("http://") : len(url)-len("/faye")]
			srv, bus, _, _ = replicaAt(t, addr)
			eventually(t, "the client subscribes anew", func() bool { return srv.Stats().Subscriptions == 1 })
			publish("/export/1", "after the restart")
			wantMessage("/export/1", "after the restart")

			c.do("disconnect", "")
			c.want("disconnected")
			eventually(t, "all is gone", func() bool { return srv.Stats() == Stats{} })
		})
	}
}
