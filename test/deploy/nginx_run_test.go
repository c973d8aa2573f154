package deploy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"exporthub/pkg/localserver"
	"exporthub/pkg/testkit"
	"exporthub/test/program"
	"exporthub/test/subscriber"
)

// nginx is a real one that runs deploy/nginx.conf.
type nginx struct {
	url    string
	access string // file of the access log
	errors string // file of the error log
}

// startNginx starts nginx with our configuration before replicas. Only what a container has and
// this machine has not is changed: addresses, where logs go, and Docker's resolver.
func startNginx(t *testing.T, replicas ...string) *nginx {
	t.Helper()
	binary, err := localserver.Find("nginx", "nginx-light (apt) or nginx (brew)")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(program.Repository(t), "deploy", "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	address := program.FreeAddress(t)
	n := &nginx{
		url:    "http://" + address,
		access: filepath.Join(dir, "access.log"),
		errors: filepath.Join(dir, "error.log"),
	}
	var servers strings.Builder
	for _, r := range replicas {
		fmt.Fprintf(&servers, "server %s; ", r)
	}
	// Workers run as this user: another one could not pass through the test's directory.
	top := "daemon off;\npid " + filepath.Join(dir, "pid") + ";\n"
	if os.Geteuid() == 0 {
		top += "user root;\n"
	}
	temporary := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temporary += fmt.Sprintf("    %s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	conf := top + string(text)
	for _, change := range [][2]string{
		{"server api:8080 resolve;", servers.String()},
		{"    resolver 127.0.0.11 valid=5s ipv6=off;\n", temporary},
		{"listen 80;", "listen " + address + ";"},
		{"/dev/stdout", n.access},
		{"/dev/stderr", n.errors},
		{"worker_processes auto;", "worker_processes 1;"},
		// The test's own user may not be allowed as many files as a container is.
		{"worker_rlimit_nofile 65536;\n", ""},
		{"worker_connections 32768;", "worker_connections 512;"},
	} {
		if !strings.Contains(conf, change[0]) {
			t.Fatalf("nginx.conf has no %q", change[0])
		}
		conf = strings.ReplaceAll(conf, change[0], change[1])
	}
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-p", dir, "-c", path, "-e", n.errors)
	var out program.Output
	cmd.Stdout = &out
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended
		<-done
	})
	testkit.Eventually(t, 30*time.Second, func() bool {
		select {
		case <-done:
			t.Fatalf("nginx ended:\n%s", &out)
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, "nginx to listen")
	return n
}

// logs is everything that nginx has written.
func (n *nginx) logs(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{n.access, n.errors} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// A GET that starts something may reach two replicas: the first one dies when it has accepted it.
// Both get the same id, so that the second can answer what the first one would have.
func TestARequestKeepsItsIDOnItsSecondReplica(t *testing.T) {
	var mu sync.Mutex
	seen := map[string][]string{} // ids by path
	dying := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.URL.Path] = append(seen[r.URL.Path], r.Header.Get("X-Request-Id"))
		panic(http.ErrAbortHandler) // the connection is cut, as by kill -9
	}))
	defer dying.Close()
	living := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.URL.Path] = append(seen[r.URL.Path], r.Header.Get("X-Request-Id"))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer living.Close()
	host := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	a := &program.App{T: t, URL: startNginx(t, host(dying), host(living)).url}

	retried := 0
	for i := range 6 {
		path := fmt.Sprintf("/start/%d", i)
		if res := a.Do("GET", path, nil); res.Status != http.StatusNoContent {
			t.Fatalf("%s answers %d %s", path, res.Status, res.Body)
		}
		ids := seen[path]
		if len(ids) == 2 {
			retried++
		}
		for _, id := range ids {
			if id != ids[0] || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(id) {
				t.Errorf("%s was sent on with the ids %q", path, ids)
			}
		}
		if i > 0 && ids[0] == seen["/start/0"][0] {
			t.Errorf("two requests have the id %s", ids[0])
		}
	}
	if retried == 0 {
		t.Fatal("no request reached the replica that dies: the fault did not hit")
	}
	const own = "client-made-id-0001"
	a.Do("GET", "/own", nil, "X-Request-Id", own)
	a.Do("GET", "/forged", nil, "X-Request-Id", "a b")
	if seen["/own"][0] != own || strings.Contains(seen["/forged"][0], " ") {
		t.Errorf("ids of clients: %q, %q", seen["/own"], seen["/forged"])
	}
}

// A request line of 16 KiB reaches the programs, and what nginx itself refuses is in the API's
// shape.
func TestRequestLinesOf16KiBPass(t *testing.T) {
	got := make(chan int, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- len(r.Method) + len(" ") + len(r.RequestURI) + len(" HTTP/1.1")
		w.WriteHeader(http.StatusNoContent)
	}))
	defer s.Close()
	a := &program.App{T: t, URL: startNginx(t, strings.TrimPrefix(s.URL, "http://")).url}
	line := func(length int) string {
		const rest = len("GET /api/contacts?ids= HTTP/1.1")
		return "/api/contacts?ids=" + strings.Repeat("1", length-rest)
	}
	if res := a.Do("GET", line(16<<10), nil); res.Status != http.StatusNoContent {
		t.Fatalf("16 KiB: answered %d %.300s", res.Status, res.Body)
	}
	if n := <-got; n != 16<<10 {
		t.Errorf("the request line has %d bytes", n)
	}
	res := a.Do("GET", line(40<<10), nil)
	if res.Status != http.StatusRequestURITooLong {
		t.Fatalf("40 KiB: answered %d %.300s", res.Status, res.Body)
	}
	checkRefusal(t, res, "POST")
	res = a.Do("GET", "/api/contacts", nil, "X-Long", strings.Repeat("x", 40<<10))
	if res.Status != http.StatusRequestHeaderFieldsTooLarge {
		t.Fatalf("a header of 40 KiB: answered %d %.300s", res.Status, res.Body)
	}
	checkRefusal(t, res, "请求头")
}

// checkRefusal checks that an answer of nginx's own is a problem as the programs write it.
func checkRefusal(t *testing.T, res program.Answer, advice string) {
	t.Helper()
	var problem struct {
		Status    int
		Code      string
		Detail    string
		RequestID string `json:"request_id"`
	}
	res.JSON(t, &problem)
	if problem.Status != res.Status || problem.Code == "" || problem.RequestID == "" ||
		!strings.Contains(problem.Detail, advice) || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("refused with %s %v", res.Body, res.Header)
	}
}

// After a run of everything no log has anything in it that lets its reader in: not nginx's access
// log, not its error log, not the programs'.
func TestNoLogHoldsWhatLetsItsReaderIn(t *testing.T) {
	p := program.StartParts(t, 50, "LOG_LEVEL=debug", "EXPORT_RATE=0")
	worker := p.Worker()
	n := startNginx(t, strings.TrimPrefix(p.URL, "http://"))
	direct := p.URL
	p.URL = n.url
	token, channel := p.SignIn()
	clientID := openSession(t, n.url)

	stock := subscriber.Start(t, n.url, channel, "websocket")
	stock.Subscribed()
	uuid, refusal, err := p.Ask(token, "export_format=csv")
	if err != nil || refusal != "" {
		t.Fatal(refusal, err)
	}
	stock.Until(time.Minute, subscriber.EndOf(uuid))
	jsonp := subscriber.JSONP(t, "callback-polling", n.url, channel)
	jsonp.Subscribed(t)
	link := program.PathOf(t, *p.Finished(token, uuid).FileURL)
	if res := p.Do("GET", link, nil); res.Status != http.StatusOK {
		t.Fatalf("the file answers %d", res.Status)
	}
	// A signature that is wrong, the other header, a token where it does not belong, an id in a
	// path.
	p.Do("GET", link+"x", nil)
	p.Do("GET", "/api/user/me", nil, "Authorization", "Bearer "+token)
	p.Do("GET", "/api/user/me?access_token="+url.QueryEscape(token), nil)
	p.Do("GET", "/faye/"+clientID, nil, "Accept", "text/event-stream-refused")

	// Then the replica dies, and the same requests fail: the error log is what tells of those.
	p.API.Signal(syscall.SIGKILL)
	_ = p.API.Ended(10 * time.Second)
	for _, path := range []string{link, "/faye/" + clientID, "/faye?message=" + url.QueryEscape(channel) + "&jsonp=x"} {
		if res := p.Do("GET", path, nil); res.Status != http.StatusBadGateway {
			t.Errorf("%s of %s answers %d without a replica", path, direct, res.Status)
		}
	}
	_, signature, _ := strings.Cut(link, "?s=")
	for name, logs := range map[string]string{
		"nginx":  n.logs(t),
		"api":    p.API.Logs.String() + p.API.Out.String(),
		"worker": worker.Logs.String() + worker.Out.String(),
	} {
		if logs == "" || name == "nginx" && strings.Count(logs, "\n") < 10 {
			t.Errorf("%s logs nothing:\n%s", name, logs)
		}
		for what, secret := range map[string]string{
			"the token":            token,
			"the link's signature": signature,
			"the capability":       channel,
			"a session id":         clientID,
			"the password":         "correct horse 21",
			"a query":              "message=",
		} {
			if strings.Contains(logs, secret) || strings.Contains(logs, url.QueryEscape(secret)) {
				t.Errorf("the logs of %s hold %s (%s):\n%.3000s", name, what, secret, logs)
			}
		}
	}
}

// openSession opens a session, subscribes nowhere, and reads its event stream for a moment: the id
// of the session is in the stream's path.
func openSession(t *testing.T, base string) (clientID string) {
	t.Helper()
	a := &program.App{T: t, URL: base}
	var answers []struct{ ClientID string }
	a.Do("POST", "/faye", []map[string]any{{
		"channel":                  "/meta/handshake",
		"version":                  "1.0",
		"supportedConnectionTypes": []string{"eventsource"},
	}}).JSON(t, &answers)
	if len(answers) != 1 || answers[0].ClientID == "" {
		t.Fatalf("the handshake was answered with %+v", answers)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", base+"/faye/"+answers[0].ClientID, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("the event stream answers %d %s", res.StatusCode, body)
	}
	return answers[0].ClientID
}
