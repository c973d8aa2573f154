package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/invitation"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/testkit"
)

const (
	testSecret    = "7a1f9c3be2d84f60a5c7d9e1b3f5a7c9d1e3f5a7b9c1d3e5"
	adminAccount  = "13800000021"
	adminPassword = "correct horse 21"
)

// parts is the system as separate processes on real Redis and PostgreSQL.
type parts struct {
	*app
	environ []string
	dsn     string
	api     *process
}

// startParts starts an api; workers are the test's to start.
func startParts(t testing.TB, rows int, more ...string) *parts {
	t.Helper()
	address := freeAddress(t)
	shared := t.TempDir()
	p := &parts{app: &app{t: t, url: "http://" + address}, dsn: dbtest.PostgresURL(t)}
	p.environ = append([]string{
		"APP_ENV=test", "HTTP_ADDR=" + address, "PUBLIC_URL=" + p.url, "DATABASE_URL=" + p.dsn, "REDIS_URL=" + testkit.Redis(t),
		"AUTH_SECRET=" + testSecret, "STORAGE_DIR=" + filepath.Join(shared, "files"), "SPOOL_DIR=" + filepath.Join(shared, "spool"),
		"PATH=/usr/bin:/bin",
	}, more...)
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	create := exec.Command(filepath.Join(dir, "api"), "-create-admin", adminAccount)
	create.Env, create.Dir, create.Stdin = p.environ, t.TempDir(), strings.NewReader(adminPassword+"\n")
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("-create-admin: %v\n%s", err, out)
	}
	db, err := database.Open(t.Context(), p.dsn, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := invitation.Module(admin.Deps{DB: db}).Demo(t.Context(), db, rows); err != nil {
		t.Fatal(err)
	}
	p.api = spawn(t, "api", p.environ)
	ready(t, p.url, p.api)
	return p
}

func (p *parts) worker() *process { return spawn(p.t, "worker", p.environ) }

// checked runs -check and fails when counters and rows differ.
func (p *parts) checked() {
	p.t.Helper()
	dir, err := programs()
	if err != nil {
		p.t.Fatal(err)
	}
	check := exec.Command(filepath.Join(dir, "api"), "-check")
	check.Env, check.Dir = p.environ, p.t.TempDir()
	if out, err := check.Output(); err != nil || !strings.Contains(string(out), "0 differences") {
		p.t.Errorf("-check: %v\n%s", err, out)
	}
}

// signIn returns the administrator's token and export channel.
func (p *parts) signIn() (token, channel string) {
	p.t.Helper()
	res := p.do("POST", "/api/access/token", map[string]string{"account": adminAccount, "password": adminPassword})
	var login struct{ Data struct{ Token string } }
	res.json(p.t, &login)
	me := p.do("GET", "/api/user/me", nil, "ACCESS-TOKEN", login.Data.Token)
	var who struct {
		Data struct {
			Channel string `json:"export_channel"`
		}
	}
	me.json(p.t, &who)
	if login.Data.Token == "" || who.Data.Channel == "" {
		p.t.Fatalf("sign in: %s %s", res.body, me.body)
	}
	return login.Data.Token, who.Data.Channel
}

func TestSeparateProcessesOnRedisAndPostgres(t *testing.T) {
	const rows = 20_000
	p := startParts(t, rows)
	worker := p.worker()
	token, channel := p.signIn()
	followers := map[string]*follower{
		"websocket":    follow(t, p.url, channel, "websocket"),
		"long-polling": follow(t, p.url, channel, "long-polling"),
	}
	for _, f := range followers {
		f.subscribed()
	}

	// Two hundred at once: one is accepted.
	const racers = 200
	answers := make([]answer, racers)
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		wait.Go(func() {
			<-start
			answers[i] = p.do("GET", "/api/admin/invitations?export_format=xlsx", nil, "ACCESS-TOKEN", token)
		})
	}
	close(start)
	wait.Wait()
	var uuid string
	for _, a := range answers {
		var body struct {
			Code   int
			Remark string
			Error  string
			Data   struct{ UUID string }
		}
		a.json(t, &body)
		switch {
		case a.status != 200:
			t.Fatalf("answered %d %s", a.status, a.body)
		case body.Code == 0 && uuid == "":
			uuid = body.Data.UUID
		case body.Code == 0:
			t.Fatalf("two were accepted")
		case body.Code != -1 || body.Remark != "当前用户已经有导出任务排队或执行,请稍后再试" || body.Error != "standard_error":
			t.Fatalf("refused with %s", a.body)
		}
	}
	if uuid == "" {
		t.Fatal("none was accepted")
	}

	for transport, f := range followers {
		checkStory(t, transport, f.until(time.Minute, over), uuid, rows)
	}
	j := p.finished(token, uuid)
	checkFile(t, p.app, *j.FileURL, rows)

	if res := p.do("GET", "/api/admin/invitations", nil, "ACCESS-TOKEN", token); !bytes.Contains(res.body, []byte(`"total_count":20000`)) {
		t.Errorf("the list: %.200s", res.body)
	}
	worker.signal(syscall.SIGTERM)
	if err := worker.ended(30 * time.Second); err != nil {
		t.Errorf("the worker ended with %v", err)
	}
	p.checked()
}

// checkStory checks what a follower was told of one export.
func checkStory(t *testing.T, who string, events []progress, uuid string, rows int64) {
	t.Helper()
	var own []progress
	for _, e := range events {
		if e.UUID == uuid && e.Status != "queued" {
			own = append(own, e)
		}
	}
	if got := stages(own); got != "starting start writing_file before_upload success" &&
		got != "starting start writing_file before_upload uploading success" {
		t.Errorf("%s: stages %s", who, got)
	}
	last, writing := 0, map[int]bool{}
	for _, e := range own {
		if e.Progress < last {
			t.Errorf("%s: progress went back from %d to %d", who, last, e.Progress)
		}
		last = e.Progress
		switch e.Status {
		case "start":
			if e.Count == nil || *e.Count != rows {
				t.Errorf("%s: start without the count: %+v", who, e)
			}
		case "writing_file":
			writing[e.Progress] = true
		case "before_upload":
			if e.FileSize == nil || *e.FileSize == 0 {
				t.Errorf("%s: before_upload without the size: %+v", who, e)
			}
		case "success":
			if e.FileURL == nil || e.Progress != 100 {
				t.Errorf("%s: success without a file: %+v", who, e)
			}
		}
	}
	if len(writing) < 2 {
		t.Errorf("%s: the bar did not move while writing: %v", who, writing)
	}
}

// checkFile fetches an export of all invitations and reads it back.
func checkFile(t *testing.T, a *app, link string, rows int) {
	t.Helper()
	file := a.do("GET", pathOf(t, link), nil)
	if file.status != 200 {
		t.Fatalf("the file answers %d %.200s", file.status, file.body)
	}
	book, err := excelize.OpenReader(bytes.NewReader(file.body))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	stream, err := book.Rows("邀请记录")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	n, last := 0, ""
	seen := map[string]bool{}
	for stream.Next() {
		cells, err := stream.Columns()
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			continue
		}
		if last = cells[0]; seen[last] {
			t.Fatalf("row %s is there twice", last)
		}
		seen[last] = true
	}
	if n != rows+1 || last != "1" {
		t.Errorf("%d rows, the last is %s; want %d and, newest first, 1", n-1, last, rows)
	}
}

func TestStrangersHearAndFetchNothing(t *testing.T) {
	a := startEmbedded(t)
	admin, staff := a.login("admin"), a.login("13800000002")
	me := a.do("GET", "/api/user/me", nil, "ACCESS-TOKEN", admin)
	var who struct{ Data struct{ ID json.Number } }
	me.json(t, &who)
	channel := "/export/" + who.Data.ID.String()
	for name, c := range map[string]struct {
		channel, token string
		refused        bool
	}{
		"a stranger on a person's channel":     {channel, "", true},
		"a stranger on everything":             {"/**", "", true},
		"an administrator on everything":       {"/**", admin, true},
		"an administrator on every export":     {"/export/*", admin, true},
		"staff on an administrator's channel":  {channel, staff, true},
		"a forged capability":                  {channel + "-" + strings.Repeat("a", 32), "", true},
		"a person on their own":                {channel, admin, false},
		"a channel that nobody has a rule for": {"/secrets/1", admin, true},
	} {
		t.Run(name, func(t *testing.T) {
			var token []string
			if c.token != "" {
				token = []string{c.token}
			}
			f := follow(t, a.url, c.channel, "websocket", token...)
			l := f.next(30 * time.Second)
			if refused := l.Refused == 403; refused != c.refused || !refused && l.Subscribed == "" {
				t.Errorf("answered %+v", l)
			}
		})
	}
}

func TestTheSameProgramRefusesBadStarts(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args, environ []string
		want          []string
	}{
		"without any configuration":       {nil, nil, []string{"DATABASE_URL", "REDIS_URL", "AUTH_SECRET", "PUBLIC_URL", "STORAGE_DIR", "SPOOL_DIR"}},
		"embedded for everyone to see":    {[]string{"-embedded"}, []string{"HTTP_ADDR=0.0.0.0:0"}, []string{"-embedded-public"}},
		"an unknown flag":                 {[]string{"-fast"}, nil, []string{"fast"}},
		"an argument too many":            {[]string{"-embedded", "please"}, nil, []string{"please"}},
		"an administrator without a name": {[]string{"-create-admin", ""}, nil, []string{"-create-admin"}},
		"two commands at once":            {[]string{"-create-admin", "x", "-check"}, nil, []string{"-check"}},
		"a spool nobody can write":        {[]string{"-embedded"}, []string{"SPOOL_DIR=/proc/nowhere"}, []string{"SPOOL_DIR"}},
		"a port that is taken":            {[]string{"-embedded"}, []string{"HTTP_ADDR=" + taken(t)}, []string{"HTTP_ADDR"}},
	} {
		t.Run(name, func(t *testing.T) {
			environ := append([]string{"STORAGE_DIR=", "SPOOL_DIR="}, c.environ...)
			if len(c.args) > 0 {
				environ = append([]string{"HTTP_ADDR=127.0.0.1:0", "DATABASE_URL=sqlite:" + filepath.Join(dir, "x.db"), "STORAGE_DIR=" + filepath.Join(dir, "files"), "SPOOL_DIR=" + dir}, c.environ...)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err := run(ctx, c.args, environ, world{In: strings.NewReader(""), Out: &output{}, Err: &output{}})
			if err == nil {
				t.Fatal("it started")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %s", err, want)
				}
			}
		})
	}
}
