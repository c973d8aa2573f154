package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

// asProgram makes the test binary behave as the program.
const asProgram = "BAYEUXD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// output collects what the program says.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

var listening = regexp.MustCompile(`listening on (\S+)\n`)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// daemon is a running bayeuxd.
type daemon struct {
	t   *testing.T
	url string
	out *output
}

func start(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, out: &output{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	go func() { done <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), d.out) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("exit code %d\n%s", code, d.out)
		}
	})
	eventually(t, "it listens", func() bool { return listening.MatchString(d.out.String()) })
	d.url = listening.FindStringSubmatch(d.out.String())[1]
	return d
}

type object = map[string]any

func (d *daemon) post(body string) []object {
	d.t.Helper()
	res, err := http.Post(d.url, "application/json", strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	var list []object
	if err := json.Unmarshal(raw, &list); err != nil {
		d.t.Fatalf("%s: %v", raw, err)
	}
	return list
}

func (d *daemon) handshake(ext string) object {
	d.t.Helper()
	return d.post(`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]` + ext + `}`)[0]
}

// session is a subscribed session's clientId.
func (d *daemon) session(channel, ext string) string {
	d.t.Helper()
	id, _ := d.handshake(ext)["clientId"].(string)
	if r := d.post(`{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":"` + channel + `"}`)[0]; r["successful"] != true {
		d.t.Fatal(r)
	}
	return id
}

// poll connects until so many messages have come.
func (d *daemon) poll(id string, n int) (got []any) {
	d.t.Helper()
	for turn := 0; len(got) < n && turn < n+3; turn++ {
		for _, m := range d.post(fmt.Sprintf(`{"channel":"/meta/connect","clientId":%q,"connectionType":"long-polling","id":"%d-%d"}`, id, n, turn))[1:] {
			got = append(got, m["data"])
		}
	}
	return got
}

func message(id, channel, data, ext string) string {
	return `{"channel":"` + channel + `","clientId":"` + id + `","data":` + data + ext + `}`
}

const withToken = `,"ext":{"access_token":"sesame"}`

func TestPublishModes(t *testing.T) {
	for _, row := range []struct {
		args        []string
		plain, with bool // whether a message is accepted without and with the token
	}{
		{nil, false, false},
		{[]string{"-publish", "none"}, false, false},
		{[]string{"-publish", "open"}, true, true},
		{[]string{"-publish", "open", "-token", "sesame"}, true, true},
		{[]string{"-publish", "token", "-token", "sesame"}, false, true},
	} {
		t.Run(strings.Join(row.args, " "), func(t *testing.T) {
			d := start(t, row.args...)
			id := d.session("/chat/*", withToken)
			if r := d.post(message(id, "/chat/1", `"plain"`, ""))[0]; r["successful"] != row.plain || !row.plain && r["error"] != "403:/chat/1:Forbidden channel" {
				t.Errorf("without the token: %v", r)
			}
			if r := d.post(message(id, "/chat/1", `"with"`, withToken))[0]; r["successful"] != row.with {
				t.Errorf("with the token: %v", r)
			}
			var want []any
			if row.plain {
				want = append(want, "plain")
			}
			if row.with {
				want = append(want, "with")
			}
			if got := d.poll(id, len(want)); !reflect.DeepEqual(got, want) {
				t.Errorf("delivered %v, want %v", got, want)
			}
		})
	}
}

func TestTokenIsRequired(t *testing.T) {
	d := start(t, "-token", "sesame")
	for _, ext := range []string{"", `,"ext":{}`, `,"ext":{"access_token":"wrong"}`, `,"ext":{"access_token":7}`, `,"ext":{"Access_token":"sesame"}`} {
		r := d.handshake(ext)
		if advice, _ := r["advice"].(object); r["successful"] != false || advice["reconnect"] != "none" {
			t.Errorf("%s: %v", ext, r)
		}
	}
	id, _ := d.handshake(withToken)["clientId"].(string)
	subscribe := `{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":"/a"`
	if r := d.post(subscribe + `}`)[0]; r["successful"] != true {
		t.Error("a session need not show the token again:", r)
	}
	if r := d.post(subscribe + `,"ext":{"access_token":"wrong"}}`)[0]; r["error"] != "401:"+id+":Unknown client" {
		t.Error("a wrong token:", r)
	}
}

func TestSeveralShareARedis(t *testing.T) {
	redis := miniredis.RunT(t)
	args := []string{"-redis", redis.Addr(), "-publish", "open", "-timeout", "5"}
	one, two := start(t, args...), start(t, append(args, "-redis", "redis://"+redis.Addr())...)
	near, far := one.session("/a", ""), two.session("/a", "")
	eventually(t, "both subscribe to the bus", func() bool { return redis.PubSubNumSub(prefix + ":0")[prefix+":0"] == 2 })
	one.post(message(near, "/a", `{"n":1}`, ""))
	for d, id := range map[*daemon]string{one: near, two: far} {
		if got := d.poll(id, 1); !reflect.DeepEqual(got, []any{object{"n": 1.0}}) {
			t.Errorf("delivered %v", got)
		}
	}
}

func TestIngest(t *testing.T) {
	redis := miniredis.RunT(t)
	args := []string{"-redis", redis.Addr(), "-ingest", "events", "-timeout", "5s"}
	one, two := start(t, args...), start(t, args...)
	ids := map[*daemon]string{one: one.session("/**", ""), two: two.session("/x/1", "")}
	began := time.Now()
	eventually(t, "both listen", func() bool { return redis.PubSubNumSub("events")["events"] == 2 })
	for _, bad := range []string{"", "x", "[]", "null", `{}`, `{"channel":"/x/1"}`, `{"data":1}`, `{"channel":7,"data":1}`, `{"Channel":"/x/1","data":"no"}`,
		`{"channel":"/x/*","data":"no"}`, `{"channel":"/**","data":"no"}`, `{"channel":"/service/x","data":"no"}`, `{"channel":"/meta/connect","data":"no"}`,
		`{"channel":"x/1","data":"no"}`, `{"channel":"/x/ 1","data":"no"}`, `{"channel":"/x/*","data":"no"}`} {
		redis.Publish("events", bad)
	}
	redis.Publish("events", `{"channel":"/x/1","data":{"seq":1}}`)
	redis.Publish("events", `{"channel":"/x/1","data":null}`)
	redis.Publish("events", `{"channel":"/x/1","data":{"seq":2}}`)
	want := []any{object{"seq": 1.0}, nil, object{"seq": 2.0}}
	for d, id := range ids {
		if got := d.poll(id, 3); !reflect.DeepEqual(got, want) {
			t.Errorf("delivered %v, want %v", got, want)
		}
		if n := strings.Count(d.out.String(), "messages dropped"); n == 0 || n > 2+int(time.Since(began)/time.Second) {
			t.Errorf("%d lines tell of bad messages:\n%s", n, d.out)
		}
	}
	late, _ := one.handshake("")["clientId"].(string)
	one.post(`{"channel":"/meta/subscribe","clientId":"` + late + `","subscription":"/x/1","ext":{"replay":1}}`)
	if got := one.poll(late, 2); !reflect.DeepEqual(got, want[1:]) {
		t.Errorf("replayed %v", got)
	}
}

func TestOrigins(t *testing.T) {
	for _, row := range []struct {
		args   []string
		origin string
		status int
	}{
		{nil, "https://any.example", http.StatusOK},
		{[]string{"-origins", "https://one.example, https://two.example/"}, "https://two.example", http.StatusOK},
		{[]string{"-origins", "https://one.example"}, "https://any.example", http.StatusForbidden},
		{[]string{"-origins", ""}, "https://any.example", http.StatusForbidden},
	} {
		d := start(t, row.args...)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url, strings.NewReader("message=[]"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", row.origin)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != row.status {
			t.Errorf("%v: %s got %d", row.args, row.origin, res.StatusCode)
		}
	}
}

func TestTimeoutIsAdvised(t *testing.T) {
	for value, want := range map[string]float64{"4": 4000, "2.5": 2500, "1m": 60_000} {
		advice, _ := start(t, "-timeout", value).handshake("")["advice"].(object)
		if advice["timeout"] != want {
			t.Errorf("%s: %v", value, advice)
		}
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-addr", "nowhere"}, {"-addr", "127.0.0.1:no-such-port"}, {"-redis", "nowhere"}, {"-redis", "ftp://x"},
		{"-origins", "one.example"}, {"-origins", "https://one.example,ftp://two.example"}, {"-origins", "https://one.example/page"}, {"-origins", "https://"},
		{"-token", ""}, {"-token=", "-publish", "none"},
		{"-publish", "all"}, {"-publish", "token"}, {"-ingest", "x"}, {"-timeout", "soon"}, {"-timeout", "0"}, {"-timeout", "-3s"}, {"extra"}, {"-what"},
	} {
		var out output
		if code := run(t.Context(), args, &out); code != 2 || out.String() == "" {
			t.Errorf("%v: exit code %d, %q", args, code, out.String())
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var out output
	if code := run(t.Context(), []string{"-addr", taken.Addr().String()}, &out); code != 1 || !strings.Contains(out.String(), "bayeuxd ends") {
		t.Errorf("an address that is taken: exit code %d, %q", code, out.String())
	}
	if code := run(t.Context(), []string{"-h"}, io.Discard); code != 0 {
		t.Error("help is no error")
	}
}

func TestTerminatedProgramSaysGoodbye(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-addr", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	d := &daemon{t: t, out: &output{}}
	cmd.Stderr = d.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it listens", func() bool { return listening.MatchString(d.out.String()) })
	d.url = listening.FindStringSubmatch(d.out.String())[1]
	id := d.session("/a", "")
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(d.url, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, frame := range []string{`{"channel":"/meta/connect","clientId":"` + id + `","connectionType":"websocket","id":"1"}`, `[]`} {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	var frame []object
	// The heartbeat's answer: the connect before it is held.
	if err := conn.ReadJSON(&frame); err != nil || len(frame) != 0 {
		t.Fatalf("%v %v", frame, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := conn.ReadJSON(&frame); err != nil || len(frame) != 1 || frame[0]["successful"] != true {
		t.Errorf("the held connect: %v %v", frame, err)
	}
	if err := conn.ReadJSON(&frame); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the socket: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, d.out)
	}
}
