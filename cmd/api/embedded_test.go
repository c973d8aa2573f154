package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"go.uber.org/goleak"

	"exporthub/test/program"
)

func TestEmbeddedFromStartToDownload(t *testing.T) {
	a := startEmbedded(t)
	for _, want := range []string{"admin", "13800000002", "13800000003", "123456", "/api/docs"} {
		if !strings.Contains(a.out.String(), want) {
			t.Errorf("the greeting does not name %s:\n%s", want, a.out)
		}
	}
	for path, want := range map[string]string{"/healthz": `"ok"`, "/readyz": `"redis":"ok"`, "/metrics": "exporthub_http_request_seconds"} {
		if path == "/metrics" {
			a.Do("GET", "/api/user/me", nil) // so that there is a figure
		}
		if res := a.Do("GET", path, nil); res.Status != 200 || !strings.Contains(string(res.Body), want) {
			t.Errorf("%s answers %d %.200s", path, res.Status, res.Body)
		}
	}
	token := a.Login("admin")
	res := a.Do("GET", "/api/admin/invitations?export_format=xlsx&approve_status=approved", nil, "ACCESS-TOKEN", token)
	var queued struct {
		Code   int
		Remark string
		Data   struct{ UUID, Channel string }
	}
	res.JSON(t, &queued)
	if queued.Code != 0 || queued.Remark != "导出任务已经加入队列,请耐心等待" || queued.Data.UUID == "" || queued.Data.Channel == "" {
		t.Fatalf("got %s", res.Body)
	}
	j := a.Finished(token, queued.Data.UUID)
	if j.Status != "success" || j.Progress != 100 || j.FileURL == nil {
		t.Fatalf("ended %+v", j)
	}
	file := a.Do("GET", program.PathOf(t, *j.FileURL), nil)
	if file.Status != 200 || int64(len(file.Body)) != *j.FileSize {
		t.Fatalf("the file answers %d with %d bytes, told %d", file.Status, len(file.Body), *j.FileSize)
	}
	book, err := excelize.OpenReader(bytes.NewReader(file.Body))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	rows, err := book.GetRows("邀请记录")
	if err != nil {
		t.Fatal(err)
	}
	list := a.Do("GET", "/api/admin/invitations?approve_status=approved&per_page=1000", nil, "ACCESS-TOKEN", token)
	var shown struct {
		Data struct {
			TotalCount int `json:"total_count"`
			Models     []struct {
				ID   json.Number
				User struct{ Phone string }
			}
		}
	}
	list.JSON(t, &shown)
	if len(rows) != shown.Data.TotalCount+1 || *j.Count != int64(shown.Data.TotalCount) || shown.Data.TotalCount == 0 {
		t.Fatalf("the file has %d rows, the list %d", len(rows)-1, shown.Data.TotalCount)
	}
	for i, m := range shown.Data.Models {
		if rows[i+1][0] != m.ID.String() || rows[i+1][2] != "已通过" || rows[i+1][4] != m.User.Phone {
			t.Fatalf("row %d of the file is %v, of the list %+v", i+1, rows[i+1], m)
		}
	}
}

func TestEmbeddedKeepsItsDataAndItsTokens(t *testing.T) {
	dir := t.TempDir()
	first := startIn(t, dir)
	token := first.Login("admin")
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	secret, err := os.Stat(filepath.Join(dir, "data", "secret"))
	if err != nil || secret.Mode().Perm() != 0o600 {
		t.Errorf("the kept secret: %v, %v", secret, err)
	}
	second := startIn(t, dir)
	res := second.Do("GET", "/api/user/me", nil, "ACCESS-TOKEN", token)
	if res.Status != 200 {
		t.Errorf("the token of before the restart answers %d %s", res.Status, res.Body)
	}
	list := second.Do("GET", "/api/admin/invitations", nil, "ACCESS-TOKEN", token)
	if !strings.Contains(string(list.Body), `"total_count":300`) {
		t.Errorf("demo rows after a restart: %.200s", list.Body)
	}
}

func TestEverythingStartedHasEnded(t *testing.T) {
	before := goleak.IgnoreCurrent()
	a := startEmbedded(t)
	token := a.Login("13800000002")
	res := a.Do("GET", "/api/admin/invitations?export_format=csv", nil, "ACCESS-TOKEN", token)
	var queued struct{ Data struct{ UUID string } }
	res.JSON(t, &queued)
	a.Finished(token, queued.Data.UUID)
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	asked, ended := strings.Index(a.logs.String(), "asked to stop"), strings.Index(a.logs.String(), "msg=stopped")
	if asked < 0 || ended < asked {
		t.Errorf("the logs don't say that the program was asked to stop (%d), then that it did (%d):\n%s", asked, ended, a.logs)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(filepath.Join(a.dir, "data", "spool"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("left in the spool: %v", left)
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	a := startEmbedded(t, "LOG_LEVEL=debug")
	token := a.Login("admin")
	me := a.Do("GET", "/api/user/me", nil, "Authorization", "Bearer "+token)
	var who struct {
		Data struct {
			Channel string `json:"export_channel"`
		}
	}
	me.JSON(t, &who)
	res := a.Do("GET", "/api/admin/invitations?export_format=csv&user_phone=13800000001", nil, "ACCESS-TOKEN", token)
	var queued struct{ Data struct{ UUID string } }
	res.JSON(t, &queued)
	j := a.Finished(token, queued.Data.UUID)
	a.Do("GET", program.PathOf(t, *j.FileURL), nil)
	a.Do("POST", "/faye", []map[string]any{{"channel": "/meta/handshake", "version": "1.0",
		"supportedConnectionTypes": []string{"long-polling"}, "ext": map[string]string{"access_token": token}}})
	a.Do("GET", "/faye?message=%5B%7B%22channel%22%3A%22"+who.Data.Channel+"%22%7D%5D&jsonp=cb", nil)
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	_, signature, _ := strings.Cut(*j.FileURL, "?s=")
	logs := a.logs.String()
	if !strings.Contains(logs, "/api/admin/invitations") {
		t.Fatalf("requests are not logged:\n%s", logs)
	}
	for what, secret := range map[string]string{
		"the token": token, "the password": "123456", "the capability": who.Data.Channel, "the link's signature": signature,
		"a phone number": "13800000001",
	} {
		if strings.Contains(logs, secret) {
			t.Errorf("the logs hold %s", what)
		}
	}
}

// The list of exhibitions is exported as it is filtered, like every other.
func TestTheExhibitionsAsAFile(t *testing.T) {
	a := startEmbedded(t, "DEMO_ROWS=5")
	token := a.Login("13800000002")
	query := "/api/admin/exhibitions?per_page=1000&name=" + url.QueryEscape("深圳")
	var shown struct {
		Data struct{ Models []struct{ Name string } }
	}
	a.Do("GET", query, nil, "ACCESS-TOKEN", token).JSON(t, &shown)
	var queued struct {
		Remark string
		Data   struct{ UUID string }
	}
	a.Do("GET", query+"&export_format=csv-raw&columns=name", nil, "ACCESS-TOKEN", token).JSON(t, &queued)
	if queued.Remark != "导出任务已经加入队列,请耐心等待" {
		t.Fatalf("answered %+v", queued)
	}
	j := a.Finished(token, queued.Data.UUID)
	if j.FileURL == nil {
		t.Fatalf("ended %+v", j)
	}
	lines := strings.Fields(string(a.Do("GET", program.PathOf(t, *j.FileURL), nil).Body))
	if len(shown.Data.Models) == 0 || len(lines) != len(shown.Data.Models)+1 {
		t.Fatalf("the file has %q, the list %+v", lines, shown.Data.Models)
	}
	for i, e := range shown.Data.Models {
		if lines[i+1] != e.Name {
			t.Errorf("line %d is %s, want %s", i+1, lines[i+1], e.Name)
		}
	}
	if res := a.Do("GET", query+"&export_format=csv", nil, "ACCESS-TOKEN", a.Login("13800000003")); !strings.Contains(string(res.Body), "你没有应用导出的权限") {
		t.Errorf("who may not export is answered %s", res.Body)
	}
}
