package qiniu

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/storage"
	"exporthub/pkg/storage/qiniu/fake"
)

func TestOptionsAreChecked(t *testing.T) {
	k := kodo(t)
	for want, change := range map[string]func(*Options){
		"AccessKey": func(o *Options) { o.AccessKey = "" }, "SecretKey": func(o *Options) { o.SecretKey = "" },
		"PrivateBucket": func(o *Options) { o.PrivateBucket = "" }, "PrivateDomain": func(o *Options) { o.PrivateDomain = "" },
		"Bucket": func(o *Options) { o.Bucket = "" }, "Domain": func(o *Options) { o.Domain = "" },
		"both public and private": func(o *Options) { o.Bucket = o.PrivateBucket },
		"UpHosts is required":     func(o *Options) { o.UpHosts = nil }, "UpHosts: must": func(o *Options) { o.UpHosts = []string{"ftp://x"} },
		"RSHost: must": func(o *Options) { o.RSHost = "http://x?y=1" }, "RSHost is required": func(o *Options) { o.RSHost = "" },
		"Domain: must": func(o *Options) { o.Domain = "http://" }, "PrivateDomain: must": func(o *Options) { o.PrivateDomain = "https://a b" },
		"PartSize":    func(o *Options) { o.PartSize = block + 1 },
		"Threshold":   func(o *Options) { o.Threshold = -1 },
		"Concurrency": func(o *Options) { o.Concurrency = 1000 },
		"Tries":       func(o *Options) { o.Tries = 1000 },
	} {
		o := options(k)
		change(&o)
		s, err := New(o)
		if err == nil || s != nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secretKey) {
			t.Errorf("%s: %v", want, err)
		}
	}
	o := Options{}
	if _, err := New(o); strings.Count(fmt.Sprint(err), "required") != 7 {
		t.Errorf("all at once: %v", err)
	}
}

func TestHostsOfThePublicCloud(t *testing.T) {
	o := options(kodo(t))
	o.RSHost = ""
	for host, want := range map[string]string{
		"up.qiniup.com": "rs-z0.qiniuapi.com", "upload-z2.qiniup.com": "rs-z2.qiniuapi.com",
		"https://up-cn-east-2.qiniup.com": "rs-cn-east-2.qiniuapi.com",
	} {
		o.UpHosts = []string{host}
		s := open(t, o)
		if s.rs.all[0] != "https://"+want || s.rsf.all[0] != "https://"+strings.Replace(want, "rs-", "rsf-", 1) || !s.allowed[want+":443"] {
			t.Errorf("%s: objects are managed at %v, listed at %v", host, s.rs.all, s.rsf.all)
		}
	}
}

// everything uses a store in every way.
func everything(ctx context.Context, s *Store) error {
	var failed error
	try := func(err error) { failed = errors.Join(failed, err) }
	try(put(ctx, s, content(100, 1)))
	try(put(ctx, s, content(2*block, 1)))
	_, err := s.Stat(ctx, key)
	try(err)
	_, _, err = s.List(ctx, "", "", 10)
	try(err)
	try(s.Copy(ctx, key, "b"))
	try(s.Check(ctx))
	r, _, err := s.Open(ctx, key)
	try(err)
	if err == nil {
		_, err = r.Read(make([]byte, 10))
		try(errors.Join(err, r.Close()))
	}
	_, err = s.Link(ctx, key, storage.LinkOptions{})
	try(err)
	_, err = s.UploadToken(ctx, storage.TokenOptions{Prefix: "a/"})
	try(err)
	try(s.Delete(ctx, key))
	try(s.Delete(ctx, "b"))
	return failed
}

func TestOnlyConfiguredHostsAreDialed(t *testing.T) {
	k := kodo(t)
	o := options(k)
	var mu sync.Mutex
	dialed := map[string]bool{}
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		dialed[address] = true
		mu.Unlock()
		if "http://"+address != k.URL {
			return nil, fmt.Errorf("%s is not configured", address)
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	s := open(t, o)
	if err := everything(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(maps.Keys(dialed)); len(got) != 1 {
		t.Errorf("dialed %v", got)
	}
	for _, address := range []string{"uc.qiniuapi.com:443", "uplog.qbox.me:443", "127.0.0.1:1"} {
		if c, err := s.dial(t.Context(), "tcp", address); err == nil || c != nil || dialed[address] {
			t.Errorf("dial %s: %v", address, err)
		}
	}
}

const childDir = "QINIU_TEST_CHILD"

// TestNothingElseIsTouched uses a store in a process of its own, where a proxy, other credentials
// and a home directory lie in wait and every system call that opens a connection is seen by its
// effect: no file, no socket but ours.
func TestNothingElseIsTouched(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		child(t)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestNothingElseIsTouched$", "-test.v")
	proxy := "http://" + closedAddress(t)
	data := t.TempDir()
	cmd.Env = append(os.Environ(), childDir+"="+data, "TMPDIR="+dir, "HOME="+dir, "XDG_CACHE_HOME="+dir, "XDG_CONFIG_HOME="+dir,
		"HTTP_PROXY="+proxy, "HTTPS_PROXY="+proxy, "http_proxy="+proxy, "QINIU_ACCESS_KEY=environment", "QINIU_SECRET_KEY=environment")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Fatalf("%v\n%s", err, out)
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && path != dir {
			t.Errorf("%s was written", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func child(t *testing.T) {
	k := fake.Start(t, fake.Options{
		AccessKey: accessKey, SecretKey: secretKey, Buckets: []fake.Bucket{{Name: public, Public: true}, {Name: private}},
		Dir: os.Getenv(childDir),
	})
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		t.Errorf("a name was asked for at %s", address)
		return nil, errors.New("no names")
	}}
	o := options(k)
	s := open(t, o)
	for range 3 {
		if err := everything(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// zeros is a large source that takes no memory.
type zeros struct{ size int64 }

func (z zeros) ReadAt(p []byte, offset int64) (int, error) {
	if offset+int64(len(p)) > z.size {
		return 0, errors.New("read behind the end")
	}
	for i := range p {
		p[i] = byte(offset >> 16)
	}
	return len(p), nil
}

func TestMemoryIsBounded(t *testing.T) {
	k := kodo(t)
	s := open(t, options(k))
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	peak, stop, done := uint64(0), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc)
			}
		}
	}()
	const size = 200 << 20
	err := s.Put(t.Context(), key, zeros{size}, size, storage.PutOptions{})
	close(stop)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	// The fake's share is in it.
	if grown := int64(peak) - int64(before.HeapAlloc); grown > 24<<20 {
		t.Errorf("sending %d MiB took %d MiB of memory", size>>20, grown>>20)
	} else {
		t.Logf("sending %d MiB took %.1f MiB of memory at most, the fake's included", size>>20, float64(grown)/(1<<20))
	}
}

func TestProgressIsThrottled(t *testing.T) {
	clock := time.Now()
	var reported []int64
	m := newMeter(1000, func(n int64) { reported = append(reported, n) }, func() time.Time { clock = clock.Add(40 * time.Millisecond); return clock })
	for range 8 {
		m.add(100)
	}
	m.add(-500)
	for range 4 {
		m.add(100)
	}
	m.add(300)
	m.done()
	m.stop()
	m.add(1)
	m.done()
	if fmt.Sprint(reported) != "[300 600 700 1000]" {
		t.Errorf("reported %v", reported)
	}
}
