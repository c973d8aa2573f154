package qiniu

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
	"exporthub/pkg/storage/qiniu/fake"
	"exporthub/pkg/storage/storagetest"
	"exporthub/pkg/testkit"
)

// The SDK starts a goroutine when it is imported; it has nothing to do.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/qiniu/go-sdk/v7/internal/uplog.init.0.func1"))
}

const (
	accessKey = "test-access-key-0123456789"
	secretKey = "test-secret-key-abcdefghij"
	private   = "private-bucket"
	public    = "public-bucket"
	key       = "export/1763726400_a.xlsx"
)

func kodo(t testing.TB) *fake.Running {
	t.Helper()
	return fake.Start(t, fake.Options{
		AccessKey: accessKey, SecretKey: secretKey, Buckets: []fake.Bucket{{Name: public, Public: true}, {Name: private}},
	})
}

// options are those of a Store on the fake that does not wait long.
func options(k *fake.Running) Options {
	return Options{
		AccessKey: accessKey, SecretKey: secretKey, Bucket: public, PrivateBucket: private, Domain: k.Domain(public),
		PrivateDomain: k.Domain(private), UpHosts: []string{k.URL}, RSHost: k.URL,
		RetryDelay: time.Millisecond, IdleTimeout: 10 * time.Second, Logger: slog.New(slog.DiscardHandler),
	}
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func content(size int, seed byte) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func put(ctx context.Context, s *Store, data []byte) error {
	return s.Put(ctx, key, bytes.NewReader(data), int64(len(data)), storage.PutOptions{ContentType: "text/plain"})
}

func fail(t testing.TB, k *fake.Running, faults ...fake.Fault) {
	t.Helper()
	if err := k.Fail(faults...); err != nil {
		t.Fatal(err)
	}
}

// holds fails the test unless Kodo has exactly this object under the key.
func holds(t testing.TB, k *fake.Running, want []byte) {
	t.Helper()
	got, err := k.Bytes(private, key)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the object holds %d bytes (%v), want %d", len(got), err, len(want))
	}
}

// nothing fails the test if Kodo has anything left, finished or not.
func nothing(t testing.TB, k *fake.Running) {
	t.Helper()
	if objects := k.Objects(private); len(objects) != 0 {
		t.Errorf("objects are left: %+v", objects)
	}
	noUploads(t, k)
}

func noUploads(t testing.TB, k *fake.Running) {
	t.Helper()
	if uploads := k.Uploads(); len(uploads) != 0 {
		t.Errorf("%d uploads are left unfinished", len(uploads))
	}
}

// sentParts are the numbers of the parts that were answered with success.
func sentParts(k *fake.Running) (all []int) {
	for _, r := range k.Requests(fake.OpPart) {
		if r.Status == 200 {
			all = append(all, r.Part)
		}
	}
	slices.Sort(all)
	return all
}

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store {
		k := kodo(t)
		s := open(t, options(k))
		t.Cleanup(func() {
			noUploads(t, k)
			for _, r := range k.Requests() {
				if r.Op == fake.OpUnknown || r.Status == 401 || r.Status == 403 {
					t.Errorf("Kodo did not understand, or refused: %+v", r)
				}
			}
		})
		return s
	})
}

func TestSmallObjectsAreFormsAndLargeOnesParts(t *testing.T) {
	for size, want := range map[int]string{0: "form", 1: "form", block: "form", block + 1: "parts", 3 * block: "parts", 3*block + 5: "parts"} {
		k := kodo(t)
		data := content(size, 1)
		if err := put(t.Context(), open(t, options(k)), data); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		holds(t, k, data)
		got := "parts"
		if len(k.Requests(fake.OpForm)) == 1 && len(k.Requests(fake.OpInit)) == 0 {
			got = "form"
		}
		if got != want {
			t.Errorf("%d bytes are sent as %s, want %s", size, got, want)
		}
		if o := k.Objects(private)[0]; o.MimeType != "text/plain" || got == "parts" && len(sentParts(k)) != (size+block-1)/block {
			t.Errorf("%d bytes: %+v in parts %v", size, o, sentParts(k))
		}
	}
}

func TestLargerParts(t *testing.T) {
	k := kodo(t)
	o := options(k)
	o.PartSize = 2 * block
	data := content(5*block+1, 1)
	if err := put(t.Context(), open(t, o), data); err != nil {
		t.Fatal(err)
	}
	holds(t, k, data)
	if got := sentParts(k); len(got) != 3 {
		t.Errorf("parts %v, want 3", got)
	}
}

func TestVeryLargeObjectsHaveNotTooManyParts(t *testing.T) {
	s := open(t, options(kodo(t)))
	for size, want := range map[int64]int64{1: block, maxParts * block: block, maxParts*block + 1: 2 * block, 1 << 40: 112_197_632 / block * block} {
		got := s.partSize(size)
		if got%block != 0 || (size+got-1)/got > maxParts || size <= maxParts*block && got != want {
			t.Errorf("partSize(%d) = %d", size, got)
		}
	}
}

func TestSeveralPartsAtATime(t *testing.T) {
	k := kodo(t)
	o := options(k)
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	most := 0
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		mu.Lock()
		defer mu.Unlock()
		conns[c] = true
		most = len(conns)
		return c, err
	}
	if err := put(t.Context(), open(t, o), content(12*block, 1)); err != nil {
		t.Fatal(err)
	}
	if most < 2 {
		t.Errorf("%d connections", most)
	}
}

func TestPublicAndPrivateBuckets(t *testing.T) {
	k := kodo(t)
	s := open(t, options(k))
	if err := put(t.Context(), s, content(10, 1)); err != nil {
		t.Fatal(err)
	}
	if len(k.Objects(public)) != 0 {
		t.Error("an export was stored in the public bucket")
	}
	if err := s.CopyToPrivate(t.Context(), key, "b"); !errs.Is(err, errs.NotFound) {
		t.Errorf("copy of what is not in the public bucket: %v", err)
	}
	if err := s.CopyToPrivate(t.Context(), "../a", "b"); !errs.Is(err, errs.Invalid) {
		t.Errorf("copy of a bad key: %v", err)
	}
}

// TestListPassesOverForeignKeys: a bucket may hold what others put there.
func TestListPassesOverForeignKeys(t *testing.T) {
	k := kodo(t)
	s := open(t, options(k))
	if err := put(t.Context(), s, content(10, 1)); err != nil {
		t.Fatal(err)
	}
	form(t, k, s.o.upToken(t, private), "folder/", "x")
	infos, _, err := s.List(t.Context(), "", "", 10)
	if err != nil || len(infos) != 1 || infos[0].Key != key {
		t.Errorf("list %+v, %v", infos, err)
	}
	if _, _, err := s.List(t.Context(), "", "not a marker", 10); !errs.Is(err, errs.Invalid) {
		t.Errorf("a marker that is none: %v", err)
	}
}

func TestOpenGoesOnWhereAConnectionBroke(t *testing.T) {
	k := kodo(t)
	s := open(t, options(k))
	data := content(3<<20, 1)
	if err := put(t.Context(), s, data); err != nil {
		t.Fatal(err)
	}
	fail(t, k, fake.Fault{Op: fake.OpDownload, Kind: fake.Refuse, Status: 503, Times: 1},
		fake.Fault{Op: fake.OpDownload, Kind: fake.Cut, Times: 1})
	r, _, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d other bytes, %v", len(got), err)
	}
	testkit.Eventually(t, 10*time.Second, func() bool { return len(k.Requests(fake.OpDownload)) == 3 }, "three downloads")
	fail(t, k, fake.Fault{Op: fake.OpDownload, Kind: fake.Lie})
	r, _, err = s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); !errs.Is(err, errs.Unavailable) {
		t.Errorf("another object than was opened: %v", err)
	}
}
