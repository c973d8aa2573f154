package bayeux

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// socket opens a websocket to the server.
func (c *conformance) socket() *wire {
	c.Helper()
	s := *c.s
	s.t = c.T
	return s.dial(nil)
}

// events opens an event stream.
func (c *conformance) events(id string) *events {
	c.Helper()
	s := *c.s
	s.t = c.T
	return s.stream(id, "")
}

// carried makes a session whose connect a socket holds.
func (c *conformance) carried(w *wire, channels ...string) string {
	c.Helper()
	id := c.session(channels...)
	w.send(socketConnect(id, "c", ""))
	c.s.held(id)
	return id
}

var pollingRules = []rule{
	{"connect is held for the timeout", func(c *conformance) {
		began := time.Now()
		c.ok(c.one(connectBody(c.session(), "1")))
		if took := time.Since(began); took < hold*9/10 {
			c.Fatal(took)
		}
	}},
	{"a message ends the hold: the reply first, then the messages", func(c *conformance) {
		id := c.session("/chat/p1")
		got := c.background(connectBody(id, "1"))
		c.s.held(id)
		c.publish("/chat/p1", "x")
		list := <-got
		c.equal(list[0]["id"], "1")
		c.equal(data(list), []any{"x"})
	}},
	{"subscribing takes effect on a connect that is held", func(c *conformance) {
		id := c.session()
		got := c.background(connectBody(id, "1"))
		c.s.held(id)
		c.ok(c.one(subscribeTo(id, `"/chat/p2"`)))
		c.publish("/chat/p2", "x")
		c.equal(data(<-got), []any{"x"})
	}},
	{"the client's advice shortens the hold, within 0 and the timeout; other values are ignored", func(c *conformance) {
		var work sync.WaitGroup
		for advice, held := range map[string]bool{"0": false, "1": false, "100000": true, "-5": true, `"x"`: true, "null": true} {
			body := strings.Replace(connectBody(c.session(), "1"), "{", `{"advice":{"timeout":`+advice+`},`, 1)
			work.Go(func() {
				began := time.Now()
				_, err := c.s.tryPost(c.Context(), body)
				if took := time.Since(began); err != nil || held != (took > hold*9/10) || took > 5*hold {
					c.Errorf("timeout %s: held for %v, %v", advice, took, err)
				}
			})
		}
		work.Wait()
	}},
	{"messages published between connects wait for the next, in order", func(c *conformance) {
		id, speaker := c.session("/chat/p3"), c.session()
		var want []any
		for i := range 25 {
			c.ok(c.one(say2(speaker, "/chat/p3", fmt.Sprint(i), fmt.Sprint(i))))
			want = append(want, i)
		}
		c.equal(c.polled(id, "1"), want)
	}},
	{"safely: the first of two connects is answered, the second is held", func(c *conformance) {
		id := c.session("/chat/p4")
		first := c.background(connectBody(id, "1"))
		c.s.held(id)
		second := c.background(connectBody(id, "2"))
		c.ok((<-first)[0])
		c.s.held(id)
		c.publish("/chat/p4", "x")
		c.equal(data(<-second), []any{"x"})
	}},
	{"safely: a connect beside other messages is not held", func(c *conformance) {
		id := c.session()
		began := time.Now()
		c.equal(len(c.ask(`[`+connectBody(id, "1")+`,`+subscribeTo(id, `"/a"`)+`]`)), 2)
		if took := time.Since(began); took > hold*9/10 {
			c.Fatal(took)
		}
	}},
	{"safely: a poll that its client left loses nothing", func(c *conformance) {
		id := c.session("/chat/p5")
		ctx, cancel := context.WithCancel(c.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			_, _ = c.s.tryPost(ctx, connectBody(id, "1"))
		}()
		c.s.held(id)
		cancel()
		<-left
		c.publish("/chat/p5", "x")
		c.equal(c.polled(id, "1"), []any{"x"})
	}},
	{"safely: a connect that is sent again with its id gets its messages again, a new id proves that they came", func(c *conformance) {
		id := c.session("/chat/p6")
		c.publish("/chat/p6", "x")
		for range 2 {
			c.equal(c.polled(id, "1"), []any{"x"})
		}
		c.equal(len(c.polled(id, "2")), 0)
	}},
	{"disconnect releases the held connect with a success", func(c *conformance) {
		id := c.session()
		got := c.background(connectBody(id, "1"))
		c.s.held(id)
		c.ok(c.one(`{"channel":"/meta/disconnect","clientId":"` + id + `"}`))
		r := (<-got)[0]
		c.ok(r)
		c.equal(advised(r, "reconnect"), "retry")
	}},
	{"the ack extension numbers batches and sends again what was not acknowledged", func(c *conformance) {
		id, _ := c.one(ackHandshake)["clientId"].(string)
		c.ok(c.one(subscribeTo(id, `"/chat/p7"`)))
		c.publish("/chat/p7", "x")
		for n := range 2 {
			list := c.ask(ackConnect(id, "long-polling", fmt.Sprint(n), 0, now))
			c.equal([]any{ackOf(list[0]), data(list)}, []any{n + 1, []any{"x"}})
		}
		c.equal(len(data(c.ask(ackConnect(id, "long-polling", "9", 2, now)))), 0)
	}},
	{"replay on subscribe delivers what was missed", func(c *conformance) {
		c.publish("/chat/p8", "before")
		id := c.session()
		c.ok(c.one(`{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":"/chat/p8","ext":{"replay":0}}`))
		c.equal(data(c.ask(connectBody(id, "1"))), []any{"before"})
	}},
}

var websocketRules = []rule{
	{"the handshake may go over the socket, and all that follows", func(c *conformance) {
		w := c.socket()
		w.send(`[` + shake + `]`)
		id, _ := w.next()["clientId"].(string)
		w.send(subscribeTo(id, `"/chat/w0"`))
		c.ok(w.next())
		w.send(`[` + socketConnect(id, "1", now) + `]`)
		c.ok(w.next())
	}},
	{"every server frame is an array, every client frame an object or an array", func(c *conformance) {
		w := c.socket()
		w.send(shake)
		c.ok(w.next())
		w.send(`[` + shake + `,` + shake + `]`)
		c.ok(w.next())
		c.ok(w.next())
	}},
	{"invalid JSON is ignored and the socket stays", func(c *conformance) {
		w := c.socket()
		for _, frame := range []string{"{", "7", "", `"x"`} {
			w.send(frame)
		}
		w.send(shake)
		c.ok(w.next())
	}},
	{"an empty array is answered by one", func(c *conformance) {
		w := c.socket()
		w.send("[]")
		c.equal(len(<-w.frames), 0)
	}},
	{"a socket carries deliveries from its first connect, what waited before any reply", func(c *conformance) {
		id := c.session("/chat/w1")
		c.publish("/chat/w1", "queued")
		w := c.socket()
		w.send(socketConnect(id, "1", ""))
		w.want("queued")
		c.publish("/chat/w1", "pushed")
		w.want("pushed")
	}},
	{"the connect reply comes after the timeout, or at once when asked", func(c *conformance) {
		w := c.socket()
		id := c.session()
		began := time.Now()
		w.send(socketConnect(id, "1", ""))
		c.equal(w.next()["id"], "1")
		if took := time.Since(began); took < hold*9/10 {
			c.Fatal(took)
		}
		w.send(socketConnect(id, "2", now))
		c.equal(w.next()["id"], "2")
	}},
	{"a second connect replaces the first", func(c *conformance) {
		w := c.socket()
		id := c.carried(w)
		w.send(socketConnect(id, "2", now))
		ids := []any{w.next()["id"], w.next()["id"]}
		c.equal(ids, []any{"c", "2"})
	}},
	{"a connect for another client moves the socket", func(c *conformance) {
		w := c.socket()
		first := c.carried(w, "/chat/w2")
		c.carried(w, "/chat/w3")
		c.publish("/chat/w2", "first's")
		c.publish("/chat/w3", "second's")
		w.want("second's")
		c.equal(c.polled(first, "1"), []any{"first's"})
	}},
	{"safely: a connect of an unknown client leaves the socket with its session", func(c *conformance) {
		w := c.socket()
		c.carried(w, "/chat/w4")
		w.send(socketConnect("gone", "2", ""))
		for r := w.next(); r["id"] != "2"; r = w.next() {
		}
		c.publish("/chat/w4", "x")
		w.want("x")
	}},
	{"a socket that its client closes leaves the session, for any transport", func(c *conformance) {
		w := c.socket()
		id := c.carried(w, "/chat/w5")
		w.conn.Close()
		c.publish("/chat/w5", "x")
		c.equal(c.ask(connectBody(id, "1"))[1]["data"], "x")
	}},
	{"safely: the newest of two sockets wins, and the old one's end does not touch it", func(c *conformance) {
		old, young := c.socket(), c.socket()
		id := c.carried(old, "/chat/w6")
		young.send(socketConnect(id, "2", ""))
		c.s.held(id)
		old.conn.Close()
		c.publish("/chat/w6", "x")
		young.want("x")
	}},
	{"disconnect is answered before the socket closes with 1000", func(c *conformance) {
		w := c.socket()
		id := c.carried(w)
		w.send(`{"channel":"/meta/disconnect","clientId":"` + id + `","id":"d"}`)
		for r := w.next(); r["id"] != "d"; r = w.next() {
		}
		w.wantClose(websocket.CloseNormalClosure)
	}},
	{"safely: a frame over the limit closes with 1009", func(c *conformance) {
		w := c.socket()
		w.send(`"` + strings.Repeat("x", 100_001) + `"`)
		w.wantClose(websocket.CloseMessageTooBig)
	}},
	{"with the ack extension messages travel in connect replies only", func(c *conformance) {
		w := c.socket()
		w.send(ackHandshake)
		id, _ := w.next()["clientId"].(string)
		w.send(subscribeTo(id, `"/chat/w7"`))
		c.ok(w.next())
		c.publish("/chat/w7", "x")
		w.send(ackConnect(id, "websocket", "1", 0, ""))
		c.equal(ackOf(w.next()), 1)
		w.want("x")
	}},
}

var streamRules = []rule{
	{"an event stream begins with retry and carries one message an event", func(c *conformance) {
		id := c.session("/chat/s1")
		c.publish("/chat/s1", "queued")
		e := c.events(id)
		c.equal(e.status, 200)
		c.equal((<-e.next).retry, "5000")
		c.equal(e.message().frame, []object{{"channel": "/chat/s1", "data": "queued"}})
		c.publish("/chat/s1", "pushed")
		e.want("pushed")
	}},
	{"an event stream is kept alive by comments", func(c *conformance) {
		e := c.events(c.session())
		for m := range e.next {
			if m.comment {
				return
			}
		}
		c.Fatal("no comment")
	}},
	{"a connect of type eventsource is answered at once, to come back after the timeout", func(c *conformance) {
		r := c.one(streamConnect(c.session(), "1"))
		c.equal(r["advice"], object{"reconnect": "retry", "interval": hold.Milliseconds(), "timeout": 0})
	}},
	{"safely: a stream of an unknown client is 404", func(c *conformance) {
		c.status(c.do(http.MethodGet, "/faye/gone", "", "Accept", "text/event-stream"), 404)
	}},
	{"safely: the end of a session is announced on its stream", func(c *conformance) {
		id := c.session()
		e := c.events(id)
		c.s.srv.destroy(c.s.srv.session(id), destroyed, "test")
		m := e.message().frame[0]
		c.equal([]any{m["channel"], m["successful"], m["advice"]}, []any{"/meta/connect", false, object{"reconnect": "handshake", "interval": 0}})
	}},
}

var sessionRules = []rule{
	{"a session outlives two timeouts without a connect", func(c *conformance) {
		if least := 2*c.s.srv.opt.Timeout + 5*time.Second; c.s.srv.opt.Expiry < least {
			c.Fatalf("it ends after %v", c.s.srv.opt.Expiry)
		}
	}},
	{"a session that expired is unknown", func(c *conformance) {
		id := c.session()
		c.s.srv.session(id).onTimer(time.Now().Add(c.s.srv.opt.Expiry))
		c.fails(c.one(connectBody(id, "1")), "401:"+id+":Unknown client")
	}},
	{"only a connect prolongs a session", func(c *conformance) {
		id := c.session()
		sess := c.s.srv.session(id)
		expiry := func() time.Time {
			sess.mu.Lock()
			defer sess.mu.Unlock()
			return sess.expireAt
		}
		end := expiry()
		c.ok(c.one(subscribeTo(id, `"/a"`)))
		if !expiry().Equal(end) {
			c.Fatal("a subscribe did")
		}
		c.polled(id, "1")
		if !expiry().After(end) {
			c.Fatal("a connect did not")
		}
	}},
	{"messages come in order across channels", func(c *conformance) {
		id, speaker := c.session("/chat/o1", "/chat/o2"), c.session()
		var want []any
		for i := range 20 {
			c.ok(c.one(say2(speaker, fmt.Sprint("/chat/o", 1+i%2), fmt.Sprint(i), fmt.Sprint(i))))
			want = append(want, i)
		}
		c.equal(c.polled(id, "1"), want)
	}},
	{"one session may alternate between transports", func(c *conformance) {
		id := c.session("/chat/o3")
		w := c.socket()
		for i := range 5 {
			w.send(socketConnect(id, fmt.Sprint("w", i), ""))
			c.s.held(id)
			c.publish("/chat/o3", fmt.Sprint("w", i))
			w.want(fmt.Sprint("w", i))
			// May bring again what is not known to have arrived.
			got := c.polled(id, fmt.Sprint("p", i))
			c.publish("/chat/o3", fmt.Sprint("p", i))
			again := c.polled(id, fmt.Sprint("q", i))
			if len(got) > 1 || len(again) != 1 || again[0] != fmt.Sprint("p", i) {
				c.Fatalf("%v, then %v", got, again)
			}
		}
	}},
}
