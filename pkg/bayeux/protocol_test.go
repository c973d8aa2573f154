package bayeux

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// exchangeRow is a request body and the replies it must get. $ID stands for the clientId of a
// session, $ANY for any string.
type exchangeRow struct{ rule, send, want string }

const (
	types     = `["long-polling","cross-origin-long-polling","callback-polling","websocket","eventsource"]`
	goOn      = `{"reconnect":"retry","interval":0,"timeout":10000}`
	again     = `{"reconnect":"handshake","interval":5000}`
	refusedHS = `"channel":"/meta/handshake","successful":false,"version":"1.0","supportedConnectionTypes":` + types
)

var protocolRows = []exchangeRow{
	{"an empty batch is answered by an empty array", `[]`, `[]`},
	{"null is an empty batch", ` null `, `[]`},
	{"null entries are left out", `[null]`, `[]`},
	{"an empty object gets 402:data", `[{}]`, `[{"successful":false,"error":"402:data:Missing required parameter"}]`},
	{"scalar entries get 402:data", `[1,"x",true,[]]`, `[` + strings.Repeat(`{"successful":false,"error":"402:data:Missing required parameter"},`, 3) +
		`{"successful":false,"error":"402:data:Missing required parameter"}]`},

	{"handshake", `[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["in-process","websocket","long-polling"],"id":"1"}]`,
		`[{"id":"1","channel":"/meta/handshake","successful":true,"version":"1.0","supportedConnectionTypes":` + types + `,"clientId":"$ANY","advice":` + goOn + `}]`},
	{"handshake: the version's value does not matter, ext and minimumVersion are not echoed",
		`{"channel":"/meta/handshake","version":7,"minimumVersion":"0.9","ext":{"a":true},"supportedConnectionTypes":["websocket"]}`,
		`[{"channel":"/meta/handshake","successful":true,"version":"1.0","supportedConnectionTypes":` + types + `,"clientId":"$ANY","advice":` + goOn + `}]`},
	{"handshake without version", `{"channel":"/meta/handshake","supportedConnectionTypes":["long-polling"]}`,
		`[{` + refusedHS + `,"error":"402:version:Missing required parameter","advice":` + again + `}]`},
	{"handshake without connection types", `{"channel":"/meta/handshake","version":"1.0","id":3}`,
		`[{"id":3,` + refusedHS + `,"error":"402:supportedConnectionTypes:Missing required parameter","advice":` + again + `}]`},
	{"handshake without a common connection type", `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["iframe","flash"]}`,
		`[{` + refusedHS + `,"error":"301:iframe,flash:Connection types not supported","advice":` + again + `}]`},
	{"handshake with connection types of a wrong type", `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":"long-polling"}`,
		`[{` + refusedHS + `,"error":"301::Connection types not supported","advice":` + again + `}]`},
	{"refused credentials are advised to stop", `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"ext":{"token":"bad"}}`,
		`[{` + refusedHS + `,"error":"403::Handshake refused","advice":{"reconnect":"none"}}]`},
	{"a passing trouble at the handshake is advised to come back", `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"ext":{"token":"later"}}`,
		`[{` + refusedHS + `,"error":"500::Database away","advice":{"reconnect":"handshake","interval":3000}}]`},

	{"connect with timeout 0 is answered at once", `{"channel":"/meta/connect","clientId":"$ID","connectionType":"long-polling","id":"4","advice":{"timeout":0}}`,
		`[{"id":"4","channel":"/meta/connect","successful":true,"clientId":"$ID","advice":` + goOn + `}]`},
	{"connect is not held beside other messages", `[{"channel":"/meta/connect","clientId":"$ID","connectionType":"websocket","id":"4"},{"channel":"/meta/unsubscribe","clientId":"$ID","subscription":"/x"}]`,
		`[{"id":"4","channel":"/meta/connect","successful":true,"clientId":"$ID","advice":` + goOn + `},
		  {"channel":"/meta/unsubscribe","successful":true,"clientId":"$ID","subscription":"/x"}]`},
	{"connect of an unknown client is sent to the handshake", `{"channel":"/meta/connect","clientId":"nobody","connectionType":"long-polling","id":"4"}`,
		`[{"id":"4","channel":"/meta/connect","successful":false,"error":"401:nobody:Unknown client","advice":{"reconnect":"handshake"}}]`},
	{"connect without clientId", `{"channel":"/meta/connect","connectionType":"long-polling"}`,
		`[{"channel":"/meta/connect","successful":false,"error":"402:clientId:Missing required parameter","advice":{"reconnect":"handshake"}}]`},
	{"connect with an object as clientId", `{"channel":"/meta/connect","clientId":{"a":1},"connectionType":"long-polling"}`,
		`[{"channel":"/meta/connect","successful":false,"error":"401::Unknown client","advice":{"reconnect":"handshake"}}]`},
	{"connect without connectionType", `{"channel":"/meta/connect","clientId":"$ID"}`,
		`[{"channel":"/meta/connect","successful":false,"error":"402:connectionType:Missing required parameter"}]`},
	{"connect with an unknown connectionType", `{"channel":"/meta/connect","clientId":"$ID","connectionType":"flash?"}`,
		`[{"channel":"/meta/connect","successful":false,"error":"301:flash_:Connection types not supported"}]`},

	{"subscribe to a string", `{"channel":"/meta/subscribe","clientId":"$ID","subscription":"/a/b","id":"5"}`,
		`[{"id":"5","channel":"/meta/subscribe","successful":true,"clientId":"$ID","subscription":"/a/b"}]`},
	{"subscribe to an array", `{"channel":"/meta/subscribe","clientId":"$ID","subscription":["/a/b","/a/c"],"id":{"x":[1]}}`,
		`[{"id":{"x":[1]},"channel":"/meta/subscribe","successful":true,"clientId":"$ID","subscription":["/a/b","/a/c"]}]`},
	{"subscribe to an empty array", `{"channel":"/meta/subscribe","clientId":"$ID","subscription":[]}`,
		`[{"channel":"/meta/subscribe","successful":true,"clientId":"$ID","subscription":[]}]`},
	{"subscribe is idempotent", `{"channel":"/meta/subscribe","clientId":"$ID","subscription":["/a/b","/a/b"]}`,
		`[{"channel":"/meta/subscribe","successful":true,"clientId":"$ID","subscription":["/a/b","/a/b"]}]`},
	{"subscribe of an unknown client carries no advice", `{"channel":"/meta/subscribe","clientId":"nobody","subscription":"/a"}`,
		`[{"channel":"/meta/subscribe","successful":false,"clientId":"nobody","subscription":"/a","error":"401:nobody:Unknown client"}]`},
	{"subscribe without subscription", `{"channel":"/meta/subscribe","clientId":"$ID"}`,
		`[{"channel":"/meta/subscribe","successful":false,"clientId":"$ID","subscription":[],"error":"402:subscription:Missing required parameter"}]`},
	{"subscribe without clientId", `{"channel":"/meta/subscribe","subscription":"/a"}`,
		`[{"channel":"/meta/subscribe","successful":false,"subscription":"/a","error":"402:clientId:Missing required parameter"}]`},
	{"subscribe to /meta is forbidden", `{"channel":"/meta/subscribe","clientId":"$ID","subscription":"/meta/x"}`,
		`[{"channel":"/meta/subscribe","successful":false,"clientId":"$ID","subscription":"/meta/x","error":"403:/meta/x:Forbidden channel"}]`},
	{"subscribe to /meta as a pattern is forbidden", `{"channel":"/meta/subscribe","clientId":"$ID","subscription":"/meta/**"}`,
		`[{"channel":"/meta/subscribe","successful":false,"clientId":"$ID","subscription":"/meta/**","error":"403:/meta/**:Forbidden channel"}]`},
	{"subscribe to /service is forbidden", `{"channel":"/meta/subscribe","clientId":"$ID","subscription":["/a","/service/x"]}`,
		`[{"channel":"/meta/subscribe","successful":false,"clientId":"$ID","subscription":["/a","/service/x"],"error":"403:/service/x:Forbidden channel"}]`},
	{"patterns are refused by default", `{"channel":"/meta/subscribe","clientId":"$ID","subscription":"/**"}`,
		`[{"channel":"/meta/subscribe","successful":false,"clientId":"$ID","subscription":"/**","error":"403:/**:Forbidden channel"}]`},
	{"another's channel is refused like an unknown one", `{"channel":"/meta/subscribe","clientId":"$ID","subscription":"/secret/7"}`,
		`[{"channel":"/meta/subscribe","successful":false,"clientId":"$ID","subscription":"/secret/7","error":"403:/secret/7:Forbidden channel"}]`},
	{"an invalid channel is cleaned in the error", `{"channel":"/meta/subscribe","clientId":"$ID","subscription":"/a:b'ü"}`,
		`[{"channel":"/meta/subscribe","successful":false,"clientId":"$ID","subscription":"/a:b'ü","error":"405:/a_b__:Invalid channel"}]`},
	{"a number is no channel", `{"channel":"/meta/subscribe","clientId":"$ID","subscription":[7]}`,
		`[{"channel":"/meta/subscribe","successful":false,"clientId":"$ID","subscription":[7],"error":"405::Invalid channel"}]`},
	{"unsubscribe from what was never subscribed", `{"channel":"/meta/unsubscribe","clientId":"$ID","subscription":"/never"}`,
		`[{"channel":"/meta/unsubscribe","successful":true,"clientId":"$ID","subscription":"/never"}]`},
	{"unsubscribe of an unknown client", `{"channel":"/meta/unsubscribe","clientId":"nobody","subscription":"/a"}`,
		`[{"channel":"/meta/unsubscribe","successful":false,"clientId":"nobody","subscription":"/a","error":"401:nobody:Unknown client"}]`},

	{"publish is refused", `{"channel":"/chat/1","data":{"n":1},"clientId":"$ID","id":"6"}`,
		`[{"id":"6","channel":"/chat/1","successful":false,"clientId":"$ID","error":"403:/chat/1:Forbidden channel"}]`},
	{"publish of null is a publish", `{"channel":"/chat/1","data":null}`,
		`[{"channel":"/chat/1","successful":false,"error":"403:/chat/1:Forbidden channel"}]`},
	{"publish without data", `{"channel":"/chat/1"}`,
		`[{"channel":"/chat/1","successful":false,"error":"402:data:Missing required parameter"}]`},
	{"publish to a pattern is invalid", `{"channel":"/chat/*","data":1}`,
		`[{"channel":"/chat/*","successful":false,"error":"405:/chat/*:Invalid channel"}]`},
	{"an unknown meta channel is forbidden", `{"channel":"/meta/subscribe/x","clientId":"$ID","subscription":"/a"}`,
		`[{"channel":"/meta/subscribe/x","successful":false,"clientId":"$ID","error":"403:/meta/subscribe/x:Forbidden channel"}]`},
	{"a number is no channel to publish to", `{"channel":5,"data":1}`, `[{"successful":false,"error":"405::Invalid channel"}]`},

	{"disconnect of an unknown client", `{"channel":"/meta/disconnect","clientId":"nobody","id":"b"}`,
		`[{"id":"b","channel":"/meta/disconnect","successful":false,"error":"401:nobody:Unknown client"}]`},
	{"disconnect without clientId", `{"channel":"/meta/disconnect"}`,
		`[{"channel":"/meta/disconnect","successful":false,"error":"402:clientId:Missing required parameter"}]`},
	{"disconnect, and a second one", `[{"channel":"/meta/disconnect","clientId":"$ID","id":"b"},{"channel":"/meta/disconnect","clientId":"$ID","id":"c"}]`,
		`[{"id":"b","channel":"/meta/disconnect","successful":true,"clientId":"$ID"},
		  {"id":"c","channel":"/meta/disconnect","successful":false,"error":"401:$ID:Unknown client"}]`},

	{"members are matched by their exact names", `{"Channel":"/meta/disconnect","channel":"/chat/1","CLIENTID":"$ID","clientid":"$ID","data":1}`,
		`[{"channel":"/chat/1","successful":false,"error":"403:/chat/1:Forbidden channel"}]`},
	{"the last of two equal members counts, for everything", `{"channel":"/meta/handshake","channel":"/chat/1","data":1}`,
		`[{"channel":"/chat/1","successful":false,"error":"403:/chat/1:Forbidden channel"}]`},
	{"a client's error member is ignored", `{"channel":"/meta/unsubscribe","clientId":"$ID","subscription":"/a","error":"500::x"}`,
		`[{"channel":"/meta/unsubscribe","successful":true,"clientId":"$ID","subscription":"/a"}]`},
	{"ids like __proto__ are just unknown", `{"channel":"/meta/connect","clientId":"__proto__","connectionType":"long-polling"}`,
		`[{"channel":"/meta/connect","successful":false,"error":"401:__proto__:Unknown client","advice":{"reconnect":"handshake"}}]`},
}

func TestProtocol(t *testing.T) {
	s := start(t, Options{})
	for _, row := range protocolRows {
		t.Run(row.rule, func(t *testing.T) {
			id := s.handshake("")
			got := s.post(strings.ReplaceAll(row.send, "$ID", id))
			var want []object
			if err := json.Unmarshal([]byte(strings.ReplaceAll(row.want, "$ID", id)), &want); err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("got %v, want %v", got, want)
			}
			for i := range want {
				if want[i]["clientId"] == "$ANY" {
					if given, _ := got[i]["clientId"].(string); len(given) != 31 {
						t.Errorf("clientId %q has not 31 characters", given)
					}
					want[i]["clientId"] = got[i]["clientId"]
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("sent %s\n got %v\nwant %v", row.send, got, want)
			}
		})
	}
}

func TestProtocolBounds(t *testing.T) {
	s := start(t, Options{MaxSubscriptions: 2, MaxChannel: 10, MaxSessions: 3, MaxSessionsPerPrincipal: 1})
	id := s.handshake("ann")
	if r := s.subscribe(id, "/a", "/b", "/a"); r["successful"] != true {
		t.Error(r)
	}
	if r := s.subscribe(id, "/c"); r["error"] != "403::Too many subscriptions" {
		t.Error(r)
	}
	if r := s.subscribe(id, "/a"); r["successful"] != true {
		t.Error("a channel it has is not one more:", r)
	}
	if r := s.subscribe(id, "/0123456789"); r["error"] != "405:/0123456789:Invalid channel" {
		t.Error(r)
	}
	shake := func(token string) object {
		return s.post(`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"ext":{"token":"` + token + `"}}`)[0]
	}
	for _, token := range []string{"ann", "ben", "cat", "dan"} {
		r := shake(token)
		advice, _ := r["advice"].(object)
		switch token {
		case "ben", "cat":
			if r["successful"] != true {
				t.Error(token, r)
			}
		default: // ann has her one; for dan the server is full
			if interval, _ := advice["interval"].(float64); r["error"] != "500::Too many sessions" || advice["reconnect"] != "handshake" || interval < 5000 {
				t.Error(token, r)
			}
		}
	}
	s.post(`{"channel":"/meta/disconnect","clientId":"` + id + `"}`)
	if r := shake("ann"); r["successful"] != true {
		t.Error("an ended session makes room:", r)
	}
}
