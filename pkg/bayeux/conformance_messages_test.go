package bayeux

import (
	"fmt"
	"regexp"
	"strings"

	"exporthub/pkg/bayeux/internal/protocol"
)

func subscribeTo(id, subscription string) string {
	return `{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":` + subscription + `,"id":"5"}`
}

var envelopeRules = []rule{
	{"id is echoed as it came, of any type", func(c *conformance) {
		for _, id := range []string{`"z"`, `7`, `{"a":[1]}`, `[null]`, `1.50`, `"` + strings.Repeat("x", 5000) + `"`} {
			list := c.do("POST", "/faye", `{"channel":"/meta/unsubscribe","id":`+id+`}`, "Content-Type", jsonType)
			if !strings.Contains(list.body, `"id":`+id) {
				c.Fatal(list.body)
			}
		}
	}},
	{"id is left out when there was none", func(c *conformance) {
		if _, there := c.one(shake)["id"]; there {
			c.Fatal("an id")
		}
	}},
	{"a reply echoes the request's clientId, but not of failed connects, handshakes and disconnects", func(c *conformance) {
		c.equal(c.one(subscribeTo("gone", `"/a"`))["clientId"], "gone")
		for _, channel := range []string{"connect", "disconnect", "handshake"} {
			r := c.one(`{"channel":"/meta/` + channel + `","clientId":"gone","connectionType":"long-polling"}`)
			if r["successful"] != false || r["clientId"] != nil {
				c.Fatal(r)
			}
		}
	}},
	{"successful is on every reply and on no delivery", func(c *conformance) {
		id := c.session("/chat/e1")
		c.publish("/chat/e1", "x")
		list := c.ask(connectBody(id, "1"))
		if _, there := list[1]["successful"]; list[0]["successful"] != true || there {
			c.Fatal(list)
		}
	}},
	{"an error holds only what the client can parse", func(c *conformance) {
		parse := regexp.MustCompile(`^[0-9][0-9][0-9]:[A-Za-z0-9\-_!~()$@/*. ,]*:[A-Za-z0-9\-_!~()$@/*. ]*$`)
		id := c.session()
		for _, channel := range []string{`/a:b`, `/a'b`, `/ä`, `/a?b`, `/a\"b`, `a`, ``} {
			r := c.one(subscribeTo(id, `"`+channel+`"`))
			if text, _ := r["error"].(string); !parse.MatchString(text) {
				c.Fatal(r)
			}
		}
	}},
	{"members are matched by their exact names and the last of two counts", func(c *conformance) {
		c.fails(c.one(`{"Channel":"/meta/handshake","channel":"/meta/x","version":"1.0"}`), "403:/meta/x:Forbidden channel")
		c.fails(c.one(`{"channel":"/meta/handshake","channel":"/meta/x","version":"1.0"}`), "403:/meta/x:Forbidden channel")
	}},
	{"unknown members are ignored, error among them", func(c *conformance) {
		c.ok(c.one(strings.Replace(shake, "{", `{"error":"403::x","whatever":[1],`, 1)))
	}},
	{"301 connect with an unknown type names it", func(c *conformance) {
		c.fails(c.one(`{"channel":"/meta/connect","clientId":"`+c.session()+`","connectionType":"flash"}`), "301:flash:Connection types not supported")
	}},
	{"of several errors of a connect the last of 401, 402 clientId, 301, 402 connectionType counts", func(c *conformance) {
		c.fails(c.one(`{"channel":"/meta/connect","clientId":"gone","connectionType":"flash"}`), "301:flash:Connection types not supported")
		c.fails(c.one(`{"channel":"/meta/connect","clientId":"gone"}`), "402:connectionType:Missing required parameter")
		c.fails(c.one(`{"channel":"/meta/connect","connectionType":"long-polling"}`), "402:clientId:Missing required parameter")
	}},
	{"of several errors of a subscribe the last of 401, 402 clientId, 402 subscription, 403, 405 counts", func(c *conformance) {
		c.fails(c.one(subscribeTo("gone", `"/a"`)), "401:gone:Unknown client")
		c.fails(c.one(`{"channel":"/meta/subscribe","subscription":"/a"}`), "402:clientId:Missing required parameter")
		c.fails(c.one(`{"channel":"/meta/subscribe"}`), "402:subscription:Missing required parameter")
		c.fails(c.one(subscribeTo("gone", `"/meta/a"`)), "403:/meta/a:Forbidden channel")
		c.fails(c.one(subscribeTo("gone", `"x"`)), "405:x:Invalid channel")
	}},
	{"of several errors of a publish 402 data counts over 405", func(c *conformance) {
		c.fails(c.one(`{"channel":"/a/*"}`), "402:data:Missing required parameter")
		c.fails(c.one(`{"channel":"/a/*","data":1}`), "405:/a/*:Invalid channel")
	}},
	{"members of a wrong type give these errors, never a 5xx", func(c *conformance) {
		id := c.session()
		for _, m := range []string{
			`{"channel":7,"data":1}`, `{"channel":{},"data":1}`, `{"channel":"/meta/connect","clientId":{},"connectionType":[]}`,
			`{"channel":"/meta/handshake","version":{},"supportedConnectionTypes":"long-polling"}`,
			`{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":{"a":1}}`, `{"channel":"/meta/subscribe","clientId":7,"subscription":7}`,
		} {
			if r := c.one(m); r["successful"] != false || r["error"] == nil {
				c.Fatalf("%s: %v", m, r)
			}
		}
	}},
	{"empty objects and scalars give 402:data, nulls nothing", func(c *conformance) {
		list := c.ask(`[{},7,null,"x"]`)
		c.equal(len(list), 3)
		for _, r := range list {
			c.fails(r, "402:data:Missing required parameter")
		}
	}},
}

var channelRules = []rule{
	{"a name is segments of letters, digits and -_!~()$@", func(c *conformance) {
		id := c.session()
		for _, name := range []string{"/a", "/a/b-c_d!e~f(g)h$i@j", "/0/1/2/3/4/5"} {
			c.ok(c.one(subscribeTo(id, `"`+name+`"`)))
		}
		for _, name := range []string{"", "/", "a", "/a/", "//a", "/a//b", "/a.b", "/a:b", "/a%20", "/a b", "/a*", "/*a", "/**/a", "/*/a", "/a/***"} {
			if text, _ := c.one(subscribeTo(id, `["`+name+`"]`))["error"].(string); !strings.HasPrefix(text, "405:") {
				c.Fatalf("%q: %q", name, text)
			}
		}
	}},
	{"a pattern ends in /* or /**, alone too", func(c *conformance) {
		id := c.session()
		for _, pattern := range []string{"/*", "/**", "/a/*", "/a/b/**"} {
			c.ok(c.one(subscribeTo(id, `"`+pattern+`"`)))
		}
	}},
	{"/* matches one more segment, /** one or more, neither none", func(c *conformance) {
		one, more := c.session("/chat/m/*"), c.session("/chat/m/**")
		for _, name := range []string{"/chat/m", "/chat/m/1", "/chat/m/1/2", "/chat/mm/1"} {
			c.publish(name, name)
		}
		c.equal(c.polled(one, "1"), []any{"/chat/m/1"})
		c.equal(c.polled(more, "1"), []any{"/chat/m/1", "/chat/m/1/2"})
	}},
	{"/meta is never subscribable and never published to", func(c *conformance) {
		id := c.session()
		for _, name := range []string{"/meta/connect", "/meta/*", "/meta/**"} {
			c.fails(c.one(subscribeTo(id, `"`+name+`"`)), "403:"+name+":Forbidden channel")
		}
		c.fails(c.one(say2(id, "/meta/x", "1", "1")), "403:/meta/x:Forbidden channel")
	}},
	{"/meta/subscribe/x is not /meta/subscribe", func(c *conformance) {
		id := c.session()
		c.fails(c.one(`{"channel":"/meta/subscribe/x","clientId":"`+id+`","subscription":"/a"}`), "403:/meta/subscribe/x:Forbidden channel")
	}},
	{"/service is not subscribable", func(c *conformance) {
		c.fails(c.one(subscribeTo(c.session(), `"/service/x"`)), "403:/service/x:Forbidden channel")
	}},
	{"safely: a publish to /service reaches no client", func(c *conformance) {
		id := c.session("/**")
		c.ok(c.one(say2(c.session(), "/service/x", "1", "1")))
		c.publish("/chat/after", "after")
		c.equal(c.polled(id, "1"), []any{"after"})
	}},
	{"a message that matches several subscriptions is delivered once", func(c *conformance) {
		id := c.session("/chat/once/1", "/chat/once/*", "/chat/once/**", "/chat/**")
		c.publish("/chat/once/1", "once")
		c.equal(c.polled(id, "1"), []any{"once"})
	}},
}

var messageRules = []rule{
	{"handshake gives a clientId of 31 base-36 characters, version, types and complete advice", func(c *conformance) {
		r := c.one(shake)
		if id, _ := r["clientId"].(string); !regexp.MustCompile(`^[0-9a-z]{31}$`).MatchString(id) {
			c.Fatal(r)
		}
		c.equal(r["version"], "1.0")
		c.equal(r["supportedConnectionTypes"], protocol.ConnectionTypes)
		c.equal(r["advice"], object{"reconnect": "retry", "interval": 0, "timeout": hold.Milliseconds()})
	}},
	{"handshake needs a version, whatever its value", func(c *conformance) {
		c.ok(c.one(strings.Replace(shake, `"1.0"`, `7`, 1)))
		c.fails(c.one(strings.Replace(shake, `"version":"1.0",`, ``, 1)), "402:version:Missing required parameter")
	}},
	{"a failed handshake says version and types, and advises a handshake after a pause", func(c *conformance) {
		r := c.one(`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["flash"]}`)
		c.fails(r, "301:flash:Connection types not supported")
		c.equal(r["version"], "1.0")
		c.equal(advised(r, "reconnect"), "handshake")
		if pause, _ := advised(r, "interval").(float64); pause < 1000 {
			c.Fatal("no pause: the stock client would loop")
		}
	}},
	{"safely: refused credentials are advised to stop", func(c *conformance) {
		c.equal(c.one(strings.Replace(shake, "{", `{"ext":{"token":"bad"},`, 1))["advice"], object{"reconnect": "none"})
	}},
	{"connect of an unknown client is 401 with advice to shake hands and no clientId", func(c *conformance) {
		c.equal(c.one(connectBody("gone", "4")), object{"id": "4", "channel": "/meta/connect", "successful": false,
			"error": "401:gone:Unknown client", "advice": object{"reconnect": "handshake"}})
	}},
	{"advice is on handshakes and connects only", func(c *conformance) {
		id := c.session()
		for _, r := range []object{c.one(subscribeTo(id, `"/a"`)), c.one(say2(id, "/chat/1", "1", "1")), c.one(subscribeTo("gone", `"/a"`))} {
			if r["advice"] != nil {
				c.Fatal(r)
			}
		}
	}},
	{"subscription is echoed in its shape", func(c *conformance) {
		id := c.session()
		for _, shape := range []string{`"/a"`, `["/a"]`, `["/a","/b"]`, `[]`} {
			a := c.do("POST", "/faye", subscribeTo(id, shape), "Content-Type", jsonType)
			if !strings.Contains(a.body, `"subscription":`+shape) || !strings.Contains(a.body, `"successful":true`) {
				c.Fatal(a.body)
			}
		}
		c.equal(c.one(`{"channel":"/meta/subscribe","clientId":"` + id + `"}`)["subscription"], []any{})
	}},
	{"safely: of a list with a bad entry nothing is subscribed", func(c *conformance) {
		id := c.session()
		c.fails(c.one(subscribeTo(id, `["/chat/half","/service/x","bad"]`)), "403:/service/x:Forbidden channel")
		c.publish("/chat/half", "x")
		c.equal(len(c.polled(id, "1")), 0)
	}},
	{"subscribing twice and unsubscribing from nothing succeed", func(c *conformance) {
		id := c.session("/chat/t")
		c.ok(c.one(subscribeTo(id, `"/chat/t"`)))
		c.publish("/chat/t", "x")
		c.equal(c.polled(id, "1"), []any{"x"})
		for range 2 {
			c.ok(c.one(strings.Replace(subscribeTo(id, `"/chat/t"`), "subscribe", "unsubscribe", 1)))
		}
	}},
	{"what is published after the reply to a subscribe is delivered", func(c *conformance) {
		for i := range 20 {
			channel := fmt.Sprint("/chat/s", i)
			id := c.session(channel)
			c.publish(channel, "x")
			c.equal(c.polled(id, "1"), []any{"x"})
		}
	}},
	{"null is data", func(c *conformance) {
		id := c.session("/chat/null")
		c.ok(c.one(say2(c.session(), "/chat/null", "1", "null")))
		c.equal(c.polled(id, "1"), []any{nil})
	}},
	{"a publisher that subscribes receives its own messages", func(c *conformance) {
		id := c.session("/chat/self")
		c.ok(c.one(say2(id, "/chat/self", "1", `"x"`)))
		c.equal(c.polled(id, "1"), []any{"x"})
	}},
	{"a publish where no rule allows it is 403", func(c *conformance) {
		c.fails(c.one(say2(c.session(), "/other/1", "6", "1")), "403:/other/1:Forbidden channel")
	}},
	{"safely: a publish needs a live clientId", func(c *conformance) {
		c.fails(c.one(`{"channel":"/chat/1","data":1}`), "402:clientId:Missing required parameter")
		c.fails(c.one(say2("gone", "/chat/1", "6", "1")), "401:gone:Unknown client")
	}},
	{"safely: a delivery is channel and data and nothing of the publisher's", func(c *conformance) {
		id := c.session("/chat/bare")
		c.ok(c.one(`{"channel":"/chat/bare","clientId":"` + c.session() + `","id":"6","data":1,"ext":{"a":1},"advice":{"reconnect":"none"},"successful":true,"x":1}`))
		c.equal(c.ask(connectBody(id, "1"))[1], object{"channel": "/chat/bare", "data": 1})
	}},
	{"safely: a publish that is sent again with its id is delivered once", func(c *conformance) {
		id, speaker := c.session("/chat/again"), c.session()
		for range 2 {
			c.ok(c.one(say2(speaker, "/chat/again", "6", `"x"`)))
		}
		c.equal(c.polled(id, "1"), []any{"x"})
	}},
	{"disconnect is echoed, and the second is 401", func(c *conformance) {
		id := c.session()
		m := `{"channel":"/meta/disconnect","clientId":"` + id + `","id":"b"}`
		c.equal(c.one(m), object{"id": "b", "channel": "/meta/disconnect", "clientId": id, "successful": true})
		c.fails(c.one(m), "401:"+id+":Unknown client")
	}},
}
