package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/testkit"
)

// bin builds what make up needs into a directory.
func bin(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for out, pkgs := range map[string][]string{
		dir + "/":                        {"exporthub/cmd/api", "exporthub/cmd/worker", "exporthub/cmd/up"},
		filepath.Join(dir, "qiniu-fake"): {"exporthub/pkg/storage/qiniu/fake/cmd"},
	} {
		build := exec.Command("go", append([]string{"build", "-o", out}, pkgs...)...)
		if text, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, text)
		}
	}
	return dir
}

// openDir is a directory that the user PostgreSQL runs as may pass through, which t.TempDir is not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "exporthub-up-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// site is a data directory and the programs to run on it.
type site struct {
	t         *testing.T
	bin, data string
	url       string
}

// up starts it and returns what it prints.
func (s *site) up(environ ...string) string {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, "up"), "-addr", "127.0.0.1:0", "-data", s.data, "-bin", s.bin, "-rows", "300")
	cmd.Env = append(cmd.Environ(), environ...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("up: %v\n%s", err, out)
	}
	found := regexp.MustCompile(`Exporthub is at (http://\S+)`).FindSubmatch(out)
	if found == nil {
		s.t.Fatalf("it does not say where it is:\n%s", out)
	}
	s.url = string(found[1])
	return string(out)
}

func (s *site) down() string {
	s.t.Helper()
	out, err := exec.Command(filepath.Join(s.bin, "up"), "-down", "-data", s.data).CombinedOutput()
	if err != nil {
		s.t.Fatalf("down: %v\n%s", err, out)
	}
	return string(out)
}

// call sends a request through the proxy and decodes the answer.
func (s *site) call(method, path, token string, body, into any) {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("ACCESS-TOKEN", token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || json.Unmarshal(answer, into) != nil {
		s.t.Fatalf("%s %s answers %d %.300s (%v)", method, path, res.StatusCode, answer, err)
	}
}

// exported logs in, exports all invitations as CSV, and returns the file's lines.
func (s *site) exported(password string) int {
	s.t.Helper()
	var login struct{ Data struct{ Token string } }
	s.call("POST", "/api/access/token", "", map[string]string{"account": "admin", "password": password}, &login)
	var queued struct{ Data struct{ UUID string } }
	s.call("GET", "/api/admin/invitations?export_format=csv", login.Data.Token, nil, &queued)
	var j struct {
		Status  string
		FileURL *string `json:"file_url"`
	}
	testkit.Eventually(s.t, time.Minute, func() bool {
		s.call("GET", "/api/exports/"+queued.Data.UUID, login.Data.Token, nil, &j)
		return j.Status == "success" || j.Status == "failure"
	}, "the export to end")
	if j.FileURL == nil || !strings.HasPrefix(*j.FileURL, s.url) {
		s.t.Fatalf("ended %+v, want a link below %s", j, s.url)
	}
	res, err := http.Get(*j.FileURL)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	file, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		s.t.Fatalf("the file answers %d (%v)", res.StatusCode, err)
	}
	return bytes.Count(file, []byte("\n")) - 1
}

func TestUpDownAndUpAgain(t *testing.T) {
	s := &site{t: t, bin: bin(t), data: filepath.Join(openDir(t), "up")}
	t.Cleanup(func() { s.down() })
	if out := s.down(); !strings.Contains(out, "nothing runs") {
		t.Errorf("down before up says %s", out)
	}
	printed := s.up()
	found := regexp.MustCompile(`Administrator: admin / (\S+)`).FindStringSubmatch(printed)
	if found == nil {
		t.Fatalf("no login is printed:\n%s", printed)
	}
	password := found[1]
	if rows := s.exported(password); rows != 300 {
		t.Errorf("%d rows were exported", rows)
	}
	again := exec.Command(filepath.Join(s.bin, "up"), "-data", s.data, "-bin", s.bin)
	if out, err := again.CombinedOutput(); err == nil || !strings.Contains(string(out), "make down") {
		t.Errorf("a second one was started beside it: %s", out)
	}
	s.down()
	if _, err := http.Get(s.url + "/readyz"); err == nil {
		t.Error("it answers after down")
	}

	// The data is as it was, and files may go elsewhere now.
	printed = s.up("STORAGE=qiniu")
	if strings.Contains(printed, password) || !strings.Contains(printed, "_download") {
		t.Errorf("the second start prints:\n%s", printed)
	}
	if rows := s.exported(password); rows != 300 {
		t.Errorf("%d rows were exported to the fake Qiniu", rows)
	}
}

func TestBadCommandLines(t *testing.T) {
	for name, args := range map[string][]string{
		"an address others reach": {"-addr", "0.0.0.0:8090"}, "no address": {"-addr", "8090"}, "a name": {"-addr", "localhost:8090"},
		"no replicas": {"-api", "0"}, "too many workers": {"-workers", "1000"}, "negative rows": {"-rows", "-1"},
		"an argument": {"now"}, "an unknown flag": {"-fast"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), append(args, "-data", t.TempDir()), nil, &out); err == nil {
			t.Errorf("%s: it was accepted", name)
		}
	}
	err := run(t.Context(), []string{"-supervise", "-addr", "127.0.0.1:0", "-data", t.TempDir(), "-bin", t.TempDir()}, []string{"LEASE=soon"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "LEASE") {
		t.Errorf("a bad variable: %v", err)
	}
}

func TestOnlyTheProgramsVariablesArePassedOn(t *testing.T) {
	got := passedOn([]string{"LOG_LEVEL=debug", "STORAGE=qiniu", "HTTP_ADDR=:1", "EDITOR=vi", "DEMO=true", "FAYE_PING=1s", "X"})
	if fmt.Sprint(got) != "map[FAYE_PING:1s LOG_LEVEL:debug STORAGE:qiniu]" {
		t.Errorf("passed on %v", got)
	}
}
