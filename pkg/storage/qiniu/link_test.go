package qiniu

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/qiniu/go-sdk/v7/storagev2/credentials"
	"github.com/qiniu/go-sdk/v7/storagev2/uptoken"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
	"exporthub/pkg/storage/qiniu/fake"
	"exporthub/pkg/testkit"
)

// fetch gets a URL as a browser would.
func fetch(t *testing.T, link string) (status int, header http.Header, body []byte) {
	t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	res, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, body
}

// timed is a fake and a store with one clock.
func timed(t *testing.T) (*fake.Running, *Store, *testkit.Clock) {
	t.Helper()
	clock := testkit.NewClock(time.Now())
	k := fake.Start(t, fake.Options{
		AccessKey: accessKey, SecretKey: secretKey, Buckets: []fake.Bucket{{Name: public, Public: true}, {Name: private}}, Now: clock.Now,
	})
	o := options(k)
	o.Now = clock.Now
	return k, open(t, o), clock
}

func TestLinks(t *testing.T) {
	_, s, clock := timed(t)
	for _, c := range []struct{ key, name string }{
		{key, ""}, {key, "invitations.xlsx"}, {key, `邀请 "1" +&=?#%.xlsx`}, {"报告/2026 年/终稿 +%?#&|'.pdf", "终稿.pdf"},
	} {
		data := content(1000, 1)
		if err := s.Put(t.Context(), c.key, bytes.NewReader(data), 1000, storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		link, err := s.Link(t.Context(), c.key, storage.LinkOptions{Filename: c.name, TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		status, header, body := fetch(t, link)
		if status != 200 || !bytes.Equal(body, data) {
			t.Errorf("%s: %d %.200s", link, status, body)
		}
		if c.name != "" && header.Get("Content-Disposition") == "" {
			t.Errorf("%s names no file", link)
		}
		u, _ := url.Parse(link)
		if got := u.Query().Get("attname"); got != c.name {
			t.Errorf("attname %q, want %q", got, c.name)
		}
		if strings.Contains(link, secretKey) {
			t.Errorf("the secret key is in %s", link)
		}
		for what, forged := range map[string]string{
			"another name":      strings.Replace(link, "attname=", "attname=x", 1),
			"another deadline":  strings.Replace(link, "e=1", "e=2", 1),
			"another object":    strings.Replace(link, "?", "x?", 1),
			"another signature": link[:len(link)-3] + "AA=",
			"no signature":      link[:strings.Index(link, "&token=")],
			"another key":       strings.Replace(link, accessKey, "other-access-key", 1),
		} {
			if status, _, _ := fetch(t, forged); status != 401 && (forged != link) {
				t.Errorf("%s: %d for %s", what, status, forged)
			}
		}
	}
	link, err := s.Link(t.Context(), key, storage.LinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(linkTTL - time.Second)
	if status, _, _ := fetch(t, link); status != 200 {
		t.Errorf("a second before its end: %d", status)
	}
	clock.Advance(2 * time.Second)
	if status, _, _ := fetch(t, link); status != 401 {
		t.Errorf("after its end: %d", status)
	}
	if status, _, _ := fetch(t, strings.Replace(link, key, "export/none", 1)); status != 401 {
		t.Errorf("a link to another object: %d", status)
	}
}

func TestPublicURL(t *testing.T) {
	k := kodo(t)
	s := open(t, options(k))
	form(t, k, s.o.upToken(t, public), "covers/封面 1.png", "png")
	link, err := s.PublicURL("covers/封面 1.png")
	if err != nil {
		t.Fatal(err)
	}
	if status, _, body := fetch(t, link); status != 200 || string(body) != "png" {
		t.Errorf("%s: %d %s", link, status, body)
	}
	if err := s.CopyToPrivate(t.Context(), "covers/封面 1.png", "report/1.png"); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Bytes(private, "report/1.png"); err != nil || string(got) != "png" {
		t.Errorf("the copy holds %q, %v", got, err)
	}
	if _, err := s.PublicURL("../x"); !errs.Is(err, errs.Invalid) {
		t.Errorf("bad key: %v", err)
	}
}

// upToken is a token for a whole bucket, as other programs make them.
func (o Options) upToken(t *testing.T, bucket string) string {
	t.Helper()
	policy, err := uptoken.NewPutPolicy(bucket, time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	token, err := uptoken.NewSigner(policy, credentials.NewCredentials(o.AccessKey, o.SecretKey)).GetUpToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// form uploads as a browser does and returns the status.
func post(t *testing.T, address, token, key, data string) int {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	_ = w.WriteField("key", key)
	_ = w.WriteField("token", token)
	part, _ := w.CreateFormFile("file", "file")
	_, _ = io.WriteString(part, data)
	_ = w.Close()
	defer http.DefaultClient.CloseIdleConnections()
	res, err := http.Post(address, w.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

func form(t *testing.T, k *fake.Running, token, key, data string) {
	t.Helper()
	if status := post(t, k.URL, token, key, data); status != 200 {
		t.Fatalf("upload %s: %d", key, status)
	}
}

func TestUploadTokens(t *testing.T) {
	k, s, clock := timed(t)
	token, err := s.UploadToken(t.Context(), storage.TokenOptions{Public: true, Prefix: "covers/7/", MaxSize: 5, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if token.URL != k.URL || token.Prefix != "covers/7/" || !token.Expires.Equal(clock.Now().Add(time.Minute).Truncate(time.Second)) {
		t.Errorf("token %+v", token)
	}
	for _, c := range []struct {
		what, key, data string
		want            int
	}{
		{"good", "covers/7/a.png", "12345", 200},
		{"too large", "covers/7/b.png", "123456", 413},
		{"elsewhere", "covers/8/a.png", "12345", 403},
		{"replacing", "covers/7/a.png", "other", 614},
	} {
		if got := post(t, token.URL, token.Token, c.key, c.data); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
	clock.Advance(time.Minute)
	if got := post(t, token.URL, token.Token, "covers/7/c.png", "1"); got != 401 {
		t.Errorf("expired: %d", got)
	}
	if got := k.Objects(public); len(got) != 1 || len(k.Objects(private)) != 0 {
		t.Errorf("stored %+v", got)
	}
	for what, o := range map[string]storage.TokenOptions{
		"no prefix": {}, "bad prefix": {Prefix: "../"}, "size": {Prefix: "a/", MaxSize: -1}, "time": {Prefix: "a/", TTL: -1},
	} {
		if _, err := s.UploadToken(t.Context(), o); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v, want invalid", what, err)
		}
	}
	private, err := s.UploadToken(t.Context(), storage.TokenOptions{Prefix: "report/"})
	if err != nil || !private.Expires.Equal(clock.Now().Add(tokenTTL).Truncate(time.Second)) {
		t.Errorf("defaults: %+v, %v", private, err)
	}
	if text, err := json.Marshal(private); err != nil || bytes.Contains(text, []byte(secretKey)) {
		t.Errorf("the secret key is in %s", text)
	}
}
