package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"exporthub/pkg/errs"
)

func TestEveryRule(t *testing.T) {
	type rules struct {
		Max    int      `json:"max" maximum:"1000000"`
		Above  float64  `json:"above" exclusiveMinimum:"0.5"`
		Below  uint     `json:"below" exclusiveMaximum:"10"`
		Few    []int    `json:"few" minItems:"2"`
		Many   []string `json:"many" maxLength:"2" enum:"a,b"`
		Email  string   `json:"email" format:"email"`
		URI    string   `json:"uri" format:"uri"`
		Date   string   `json:"date" format:"date"`
		Shape  string   `json:"shape" pattern:"^x+$"`
		Secret string   `json:"secret" format:"password"`
		Ratio  float64  `json:"ratio" enum:"0.5,1"`
		State  string   `json:"state" enum:"applying,approved" labels:"申请中,已通过"`
		Size   int      `json:"size" minimum:"1" clamp:"1000"`
	}
	for in, want := range map[string]string{
		"max=1000000&above=0.51&below=9&few=1,2&many=a,b&email=a@example.com&uri=https://example.com/a&date=2026-01-31&shape=xx&secret=x&ratio=0.5": "",
		"max=1000001":              "max 不能大于 1,000,000",
		"above=0.5":                "above 必须大于 0.5",
		"below=10":                 "below 必须小于 10",
		"few=1":                    "few 至少 2 项",
		"many=a,c":                 "many[1] 只能是 a、b 之一",
		"many=aaa":                 "many[0] 最多 2 个字符",
		"email=a@":                 "email 应为电子邮箱地址",
		"email=A <a@example.com>":  "email 应为电子邮箱地址",
		"uri=/relative":            "uri 应为网址",
		"date=2026-02-30":          "date 应为日期，如 2006-01-02",
		"shape=y":                  "shape 应为 ^x+$ 的形式",
		"ratio=0.7":                "ratio 只能是 0.5、1 之一",
		"state=gone":               "state 只能是 申请中（applying）、已通过（approved） 之一",
		"size=1000000":             "",
		"size=0":                   "size 不能小于 1",
		"ratio=0x1p-2":             "ratio 应为数字",
		"below=1.":                 "below 应为整数",
		"few[0]=1&few[1]=%zz":      "few 百分号编码不正确",
		"many[0][a]=1":             "many[0] 只能有一个值",
		"max=1&max[]=2":            "max 只能有一个值",
		"many[0]=a&many[0]=b":      "",
		"secret={&shape=":          "",
		"a[b=1&a]b[=2&[]=3&[a]=4&": "",
	} {
		tree, err := parseForm(in)
		if err != nil {
			t.Fatal(err)
		}
		b, got := &binder{}, ""
		var v rules
		b.bindStruct(tree, nil, valueOf(&v), "")
		if err := b.err(); err != nil {
			got = fieldText(errs.As(err).Fields)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// TestABodyThatIsCutShort sends less than was announced, as a line that breaks does.
func TestABodyThatIsCutShort(t *testing.T) {
	var got everything
	s := anything(t, &got)
	for _, kind := range []string{"application/json", "multipart/form-data"} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /api/any HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 50\r\n\r\n", kind)
		if kind == "application/json" {
			fmt.Fprint(conn, `{"small"`)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body := readAll(t, answer); answer.StatusCode != 422 || !strings.Contains(body, msgBodyCut) {
			t.Errorf("%s: %d %s", kind, answer.StatusCode, body)
		}
		answer.Body.Close()
		conn.Close()
	}
}

func TestDecodeOutsideItsRules(t *testing.T) {
	r, err := http.NewRequestWithContext(context.Background(), "GET", "/x?page=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Decode(r, PerPagePaging{}); err == nil || errs.Is(err, errs.Invalid) {
		t.Errorf("a target that is no pointer: %v", err)
	}
	if err := Decode(r, &struct{ StatusError chan int }{}); err == nil || errs.Is(err, errs.Invalid) {
		t.Errorf("a target that can't be filled: %v", err)
	}
	var p PerPagePaging
	if err := Decode(r, &p); !errs.Is(err, errs.Invalid) {
		t.Errorf("bad input: %v", err)
	}
	r.URL.RawQuery = "page=2"
	if err := Decode(r, &p); err != nil || p.Page != 2 {
		t.Errorf("outside a router: %+v, %v", p, err)
	}
	r.URL.RawQuery = strings.Repeat("&a=1", maxParams+1)
	if err := Decode(r, &p); !errs.Is(err, errs.Invalid) {
		t.Errorf("too many parameters: %v", err)
	}
	if got := reasonOf(errors.New("internal")); got != msgFormat {
		t.Errorf("an error that is no Reason shows as %q", got)
	}
}
