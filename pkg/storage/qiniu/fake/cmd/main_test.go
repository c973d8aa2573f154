package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/storage"
	"exporthub/pkg/storage/qiniu"
	"exporthub/pkg/testkit"
)

// output is a stream that can be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// TestWhatItPrintsIsEnough stores and fetches a file with just the variables that the command
// prints.
func TestWhatItPrintsIsEnough(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out := &output{}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-addr", "127.0.0.1:0", "-secret-key", "another", "-dir", t.TempDir()}, out)
	}()
	testkit.Eventually(t, 10*time.Second, func() bool { return strings.Contains(out.String(), "QINIU_RS_HOST=") }, "the command to print its variables")
	values := map[string]string{}
	for _, found := range regexp.MustCompile(`([A-Z_]+)=(\S+)`).FindAllStringSubmatch(out.String(), -1) {
		values[found[1]] = found[2]
	}
	s, err := qiniu.New(qiniu.Options{
		AccessKey: values["QINIU_ACCESS_KEY"], SecretKey: values["QINIU_SECRET_KEY"], Bucket: values["QINIU_BUCKET"],
		PrivateBucket: values["QINIU_PRIVATE_BUCKET"], Domain: values["QINIU_DOMAIN"], PrivateDomain: values["QINIU_PRIVATE_DOMAIN"],
		UpHosts: []string{values["QINIU_UP_HOSTS"]}, RSHost: values["QINIU_RS_HOST"],
	})
	if err != nil {
		t.Fatalf("%v of %s", err, out)
	}
	if err := s.Put(t.Context(), "a", strings.NewReader("hello"), 5, storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	link, err := s.Link(t.Context(), "a", storage.LinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || string(text) != "hello" {
		t.Errorf("fetched %q, %v", text, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it did not end")
	}
}

func TestRefusals(t *testing.T) {
	for _, args := range [][]string{{"-addr", "0.0.0.0:9500"}, {"-addr", ":9500"}, {"-addr", "nonsense"}, {"-colour", "red"}, {"-addr", "127.0.0.1:0", "-secret-key", ""}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, &out); err != nil || !strings.Contains(out.String(), "-private-bucket") {
		t.Errorf("-h: %v, %s", err, out.String())
	}
}
