package topology

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"exporthub/test/program"
	"exporthub/test/subscriber"
)

func TestSeparateProcessesOnRedisAndPostgres(t *testing.T) {
	const rows = 20_000
	p := program.StartParts(t, rows)
	token, channel := p.SignIn()
	subscribers := map[string]*subscriber.Stock{
		"websocket":    subscriber.Start(t, p.URL, channel, "websocket"),
		"long-polling": subscriber.Start(t, p.URL, channel, "long-polling"),
	}
	for _, f := range subscribers {
		f.Subscribed()
	}

	// Two hundred at once: one is accepted.
	const racers = 200
	answers := make([]program.Answer, racers)
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		wait.Go(func() {
			<-start
			answers[i] = p.Do("GET", "/api/admin/invitations?export_format=xlsx", nil, "ACCESS-TOKEN", token)
		})
	}
	close(start)
	wait.Wait()
	// Only now: a worker that ends the first export while the last racers ask would let one of them
	// in.
	worker := p.Worker()
	var uuid string
	for _, a := range answers {
		var body struct {
			Code   int
			Remark string
			Error  string
			Data   struct{ UUID string }
		}
		a.JSON(t, &body)
		switch {
		case a.Status != 200:
			t.Fatalf("answered %d %s", a.Status, a.Body)
		case body.Code == 0 && uuid == "":
			uuid = body.Data.UUID
		case body.Code == 0:
			t.Fatalf("two were accepted")
		case body.Code != -1 || body.Remark != "当前用户已经有导出任务排队或执行,请稍后再试" || body.Error != "standard_error":
			t.Fatalf("refused with %s", a.Body)
		}
	}
	if uuid == "" {
		t.Fatal("none was accepted")
	}

	for transport, f := range subscribers {
		checkStory(t, transport, f.Until(time.Minute, subscriber.Over), uuid, rows)
	}
	j := p.Finished(token, uuid)
	checkFile(t, p.App, *j.FileURL, rows)

	if res := p.Do("GET", "/api/admin/invitations", nil, "ACCESS-TOKEN", token); !bytes.Contains(res.Body, []byte(`"total_count":20000`)) {
		t.Errorf("the list: %.200s", res.Body)
	}
	worker.Signal(syscall.SIGTERM)
	if err := worker.Ended(30 * time.Second); err != nil {
		t.Errorf("the worker ended with %v", err)
	}
	p.Checked()
}

// checkStory checks what a subscriber received of one export that nothing disturbed: every stage
// with its figures. What holds of every story is checked by the subscriber itself.
func checkStory(t *testing.T, who string, events []subscriber.Event, uuid string, rows int64) {
	t.Helper()
	var own []subscriber.Event
	for _, e := range events {
		if e.UUID == uuid && e.Status != "queued" {
			own = append(own, e)
		}
	}
	if got := subscriber.Stages(own); got != "starting start writing_file before_upload success" &&
		got != "starting start writing_file before_upload uploading success" {
		t.Errorf("%s: stages %s", who, got)
	}
	writing := map[int]bool{}
	for _, e := range own {
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
func checkFile(t *testing.T, a *program.App, link string, rows int) {
	t.Helper()
	file := a.Do("GET", program.PathOf(t, link), nil)
	if file.Status != 200 {
		t.Fatalf("the file answers %d %.200s", file.Status, file.Body)
	}
	book, err := excelize.OpenReader(bytes.NewReader(file.Body))
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

func TestStrangersReceiveAndFetchNothing(t *testing.T) {
	a := program.StartEmbedded(t)
	admin, staff := a.Login("admin"), a.Login("13800000002")
	me := a.Do("GET", "/api/user/me", nil, "ACCESS-TOKEN", admin)
	var who struct{ Data struct{ ID json.Number } }
	me.JSON(t, &who)
	channel := "/export/" + who.Data.ID.String()
	for name, c := range map[string]struct {
		channel, token string
		refused        bool
	}{
		"a stranger on a person's channel":    {channel, "", true},
		"a stranger on everything":            {"/**", "", true},
		"an administrator on everything":      {"/**", admin, true},
		"an administrator on every export":    {"/export/*", admin, true},
		"staff on an administrator's channel": {channel, staff, true},
		"a forged capability":                 {channel + "-" + strings.Repeat("a", 32), "", true},
		"a person on their own":               {channel, admin, false},
		"a channel without a rule":            {"/secrets/1", admin, true},
	} {
		t.Run(name, func(t *testing.T) {
			var token []string
			if c.token != "" {
				token = []string{c.token}
			}
			f := subscriber.Start(t, a.URL, c.channel, "websocket", token...)
			l := f.Next(30 * time.Second)
			if refused := l.Refused == 403; refused != c.refused || !refused && l.Subscribed == "" {
				t.Errorf("answered %+v", l)
			}
		})
	}
}
