package bayeux

import (
	"testing"
)

// TestCometDClient has a client of the other school: Bayeux 1.0 to the letter, with the handshake
// on whatever transport it uses and batches that it acknowledges.
func TestCometDClient(t *testing.T) {
	for _, transport := range []string{"websocket", "long-polling"} {
		for _, acks := range []string{"ack", "plain"} {
			t.Run(transport+" "+acks, func(t *testing.T) {
				r := replicaAt(t, "127.0.0.1:0")
				c := &stockClient{t: t, lines: make(chan stockEvent, 10_000)}
				c.in = startNode(t, func(e stockEvent) { c.lines <- e }, nodeDir, "cometd.mjs", r.url, transport, acks)
				c.do(command{Op: "handshake"})
				c.want("up")
				c.do(command{Op: "subscribe", Channel: "/export/1"})
				c.want("subscribed")
				r.publish("/export/1", count(100)...)
				c.wantMessages("/export/1", count(100)...)
				c.do(command{Op: "transport"})
				if e := c.want("transport"); e.Message != transport {
					t.Fatalf("the client went by %s", e.Message)
				}
				c.do(command{Op: "subscribe", Channel: "/secret/1"})
				if e := c.want("refused"); e.Message != "403:/secret/1:Forbidden channel" {
					t.Fatalf("refusal: %+v", e)
				}
				c.do(command{Op: "subscribe", Channel: "/chat/*"})
				c.want("subscribed")
				c.do(command{Op: "publish", Channel: "/chat/1", Data: "said"})
				c.wantMessagesBeside("published", "/chat/1", "said")
				c.do(command{Op: "unsubscribe", Channel: "/chat/*"})
				c.want("unsubscribed")
				r.publish("/chat/1", "unheard")
				r.publish("/export/1", "received")
				c.wantMessages("/export/1", "received")

				r.end()
				next := replicaAt(t, r.url[len("http://"):len(r.url)-len("/faye")])
				eventually(t, "the client shakes hands anew", func() bool { return next.srv.Stats().Sessions > 0 })
				// Renewing the others is the page's, by CometD's custom.
				c.do(command{Op: "subscribe", Channel: "/export/2"})
				c.want("subscribed")
				next.publish("/export/2", "after the restart")
				c.wantMessages("/export/2", "after the restart")
				c.do(command{Op: "disconnect"})
				c.want("disconnected")
				eventually(t, "all is gone", func() bool { return next.srv.Stats() == Stats{} })
			})
		}
	}
}
