package deploy

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/config"
	"exporthub/test/program"
)

// directives reads nginx.conf as a flat list: each directive under the names of the blocks around
// it.
func directives(t *testing.T, text string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	var blocks []string
	comment := regexp.MustCompile(`(?m)^\s*#.*$`)
	for _, token := range regexp.MustCompile(`(?:"[^"]*"|'[^']*'|[^;{}"'])*[;{}]`).FindAllString(comment.ReplaceAllString(text, ""), -1) {
		words := strings.Join(strings.Fields(token[:len(token)-1]), " ")
		switch token[len(token)-1] {
		case '{':
			blocks = append(blocks, words)
		case '}':
			if words != "" || len(blocks) == 0 {
				t.Fatalf("nginx.conf: %q before a closing brace", words)
			}
			blocks = blocks[:len(blocks)-1]
		default:
			name, value, _ := strings.Cut(words, " ")
			key := strings.Join(append(blocks[:len(blocks):len(blocks)], name), " > ")
			found[key] = append(found[key], value)
		}
	}
	if len(blocks) > 0 {
		t.Fatalf("nginx.conf: %v is not closed", blocks)
	}
	return found
}

func TestTheProxyFitsThePrograms(t *testing.T) {
	c := compose(t)
	cfg, err := config.Load(c.environ("api"), "", config.Mode{})
	if err != nil {
		t.Fatal(err)
	}
	file, inside, _ := strings.Cut(words(c.service("proxy")["volumes"])[0], ":")
	if inside != "/etc/nginx/nginx.conf:ro" {
		t.Errorf("the configuration is mounted at %s", inside)
	}
	text, err := os.ReadFile(filepath.Join(program.Repository(t), file))
	if err != nil {
		t.Fatal(err)
	}
	conf := directives(t, string(text))
	one := func(key string) string {
		t.Helper()
		if len(conf[key]) != 1 {
			t.Fatalf("nginx.conf: %s is %q", key, conf[key])
		}
		return conf[key][0]
	}
	_, port, _ := net.SplitHostPort(cfg.HTTPAddr)
	for _, upstream := range []string{"api", "faye"} {
		if got := one("http > upstream " + upstream + " > server"); got != "api:"+port+" resolve" || c.services["api"] == nil {
			t.Errorf("%s goes to %q, api listens on %s", upstream, got, cfg.HTTPAddr)
		}
	}
	const server = "http > server > "
	if one(server+"location /faye > proxy_pass") != "http://faye" || one(server+"location / > proxy_pass") != "http://api" {
		t.Error("only /faye is kept on one replica")
	}
	if one("http > upstream faye > hash") != "$remote_addr consistent" || conf["http > upstream api > hash"] != nil {
		t.Error("realtime clients are kept by their address, others by nothing")
	}
	if _, listens, _ := strings.Cut(words(c.service("proxy")["ports"])[0], ":"); listens != one(server+"listen") {
		t.Errorf("published is %s, listened to %s", listens, one(server+"listen"))
	}
	longest := max(cfg.FayeTimeout, cfg.FayePing, 25*time.Second)
	for _, name := range []string{"proxy_read_timeout", "proxy_send_timeout"} {
		if d, err := time.ParseDuration(one(server + name)); err != nil || d < longest+10*time.Second {
			t.Errorf("%s %s cuts what the programs hold for %s", name, d, longest)
		}
	}
	for name, want := range map[string]string{
		"proxy_buffering": "off", "proxy_request_buffering": "off", "proxy_http_version": "1.1", "client_max_body_size": "0",
	} {
		if got := one(server + name); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
	headers := strings.Join(conf[server+"proxy_set_header"], "\n")
	for _, want := range []string{
		"Host $http_host", "Upgrade $http_upgrade", "Connection $connection_header", "X-Forwarded-For $remote_addr",
	} {
		if !strings.Contains(headers, want) {
			t.Errorf("requests go on without %s", want)
		}
	}
	if ids := strings.Join(conf[server+"proxy_set_header"], "\n"); !strings.Contains(ids, "X-Request-Id $request_label") {
		t.Errorf("requests go on without an id of their own: %s", ids)
	}
	if got := one("http > error_log"); !strings.HasSuffix(got, " emerg") {
		t.Errorf("errors of requests are logged, with the whole request in them: error_log %s", got)
	}
	if log := one("http > log_format"); strings.Contains(log, "$uri") || strings.Contains(log, "$request ") || strings.Contains(log, "$args") || strings.Contains(log, "$request_uri") ||
		strings.Contains(log, "referer") {
		t.Errorf("queries get into the log: %s", log)
	}
}
