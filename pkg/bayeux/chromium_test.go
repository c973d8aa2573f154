package bayeux

import (
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/bayeux/internal/protocol"
)

// clientFiles are those of the npm package, as the project's page has it.
const clientFiles = "../../web/node_modules/faye/client"

// browser is a Chromium whose pages are stock clients.
type browser struct {
	t     testing.TB
	mu    sync.Mutex // of in, too
	pages map[string]*stockClient
}

// TestStockClientInChromium has the browser build take each transport that it can, from a page of
// the server's own origin and from one of another site: two names of this machine are two sites.
func TestStockClientInChromium(t *testing.T) {
	if _, err := os.Stat(clientFiles); err != nil {
		t.Fatal("this test needs the page's packages: npm --prefix web ci")
	}
	b := &browser{t: t, pages: make(map[string]*stockClient)}
	ready := make(chan struct{})
	in := startNode(t, func(e stockEvent) {
		if e.Event == "ready" {
			close(ready)
			return
		}
		b.mu.Lock()
		c := b.pages[e.Page]
		b.mu.Unlock()
		if c != nil {
			c.lines <- e
		}
	}, "testdata/browser", "pages.mjs")
	select {
	case <-ready:
	case <-time.After(30 * time.Second):
		t.Fatal("Chromium does not start: is chromium installed, or CHROMIUM set?")
	}
	for _, c := range []struct {
		transport string
		foreign   bool
	}{
		{"websocket", false}, {"eventsource", false}, {"long-polling", false}, {"callback-polling", false},
		{"websocket", true}, {"cross-origin-long-polling", true}, {"callback-polling", true},
	} {
		where := map[bool]string{false: "same origin", true: "cross-site"}[c.foreign]
		t.Run(c.transport+" "+where, func(t *testing.T) {
			r := replicaAt(t, "127.0.0.1:0")
			address := strings.TrimSuffix(r.url, "/faye") + "/page"
			if c.foreign {
				other := httptest.NewServer(page(r.url))
				t.Cleanup(other.Close)
				address = strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
			}
			client := &stockClient{t: t, page: t.Name(), in: in, lines: make(chan stockEvent, 10_000)}
			b.mu.Lock()
			b.pages[client.page] = client
			b.mu.Unlock()
			client.do(command{Op: "open", Address: address, Endpoint: r.url, Disabled: othersThan(c.transport, c.foreign)})
			client.want("open")
			r.exercise(client, c.transport)
			client.do(command{Op: "close"})
		})
	}
}

// othersThan are the transports to disable so that the client takes one. It shakes hands by
// long-polling, or by callback-polling from another site, so these two may only be left out where
// they are not needed.
func othersThan(transport string, foreign bool) []string {
	handshake := "long-polling"
	if foreign || transport == "callback-polling" {
		handshake = "callback-polling"
	}
	return slices.DeleteFunc(slices.Clone(protocol.ConnectionTypes), func(t string) bool { return t == transport || t == handshake })
}
