package qiniu

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
	"exporthub/pkg/storage/qiniu/fake"
	"exporthub/pkg/testkit"
)

// operations are what a store does, with which of Kodo's operations they need.
var operations = []struct {
	name string
	op   fake.Op
	do   func(ctx context.Context, s *Store) error
}{
	{"put small", fake.OpForm, func(ctx context.Context, s *Store) error { return put(ctx, s, content(10, 1)) }},
	{"put large: begin", fake.OpInit, func(ctx context.Context, s *Store) error { return put(ctx, s, content(block+1, 1)) }},
	{"put large: part", fake.OpPart, func(ctx context.Context, s *Store) error { return put(ctx, s, content(block+1, 1)) }},
	{"put large: complete", fake.OpComplete, func(ctx context.Context, s *Store) error { return put(ctx, s, content(block+1, 1)) }},
	{"put: confirm", fake.OpStat, func(ctx context.Context, s *Store) error { return put(ctx, s, content(10, 1)) }},
	{"stat", fake.OpStat, func(ctx context.Context, s *Store) error { _, err := s.Stat(ctx, "there"); return err }},
	{"copy", fake.OpCopy, func(ctx context.Context, s *Store) error { return s.Copy(ctx, "there", "b") }},
	{"delete", fake.OpDelete, func(ctx context.Context, s *Store) error { return s.Delete(ctx, "there") }},
	{"list", fake.OpList, func(ctx context.Context, s *Store) error { _, _, err := s.List(ctx, "", "", 10); return err }},
	{"check: up", fake.OpInit, func(ctx context.Context, s *Store) error { return s.Check(ctx) }},
	{"check: rs", fake.OpStat, func(ctx context.Context, s *Store) error { return s.Check(ctx) }},
	{"read", fake.OpDownload, func(ctx context.Context, s *Store) error {
		r, _, err := s.Open(ctx, "there")
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.ReadAll(r)
		return err
	}},
}

func withObject(t *testing.T) (*fake.Running, *Store) {
	t.Helper()
	k := kodo(t)
	s := open(t, options(k))
	if err := s.Put(t.Context(), "there", strings.NewReader("there"), 5, storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	k.ClearRequests()
	return k, s
}

func TestEveryAnswerHasItsKind(t *testing.T) {
	for status, want := range map[int]struct {
		kind  errs.Kind
		tries int
	}{
		401: {errs.Forbidden, 1}, 403: {errs.Forbidden, 1}, 419: {errs.Forbidden, 1}, 402: {errs.Forbidden, 1},
		631: {errs.NotFound, 1}, 579: {errs.Unavailable, 1}, 413: {errs.TooLarge, 1}, 614: {errs.Conflict, 1}, 405: {errs.Internal, 1},
		500: {errs.Unavailable, 3}, 502: {errs.Unavailable, 3}, 503: {errs.Unavailable, 3}, 504: {errs.Unavailable, 3},
		573: {errs.Unavailable, 3}, 599: {errs.Unavailable, 3}, 429: {errs.Unavailable, 3}, 406: {errs.Unavailable, 3},
	} {
		for _, o := range operations {
			t.Run(fmt.Sprint(o.name, " ", status), func(t *testing.T) {
				k, s := withObject(t)
				fail(t, k, fake.Fault{Op: o.op, Kind: fake.Refuse, Status: status})
				err := o.do(t.Context(), s)
				if !errs.Is(err, want.kind) {
					t.Fatalf("%v, want %v", err, want.kind)
				}
				if e := errs.As(err); e != nil && want.kind != errs.Internal && e.Message == "" {
					t.Errorf("%v says nothing to people", err)
				}
				if n := len(k.Requests(o.op)); n < want.tries || want.tries == 1 && n > 2 {
					t.Errorf("%d tries, want %d", n, want.tries)
				}
				s.Close()
				noUploads(t, k)
			})
		}
	}
}

func TestABadRequestIsTriedAgainOnlyWithData(t *testing.T) {
	for _, o := range operations {
		k, s := withObject(t)
		fail(t, k, fake.Fault{Op: o.op, Kind: fake.Refuse, Status: 400})
		want := errs.Internal
		if o.op == fake.OpForm || o.op == fake.OpPart || o.op == fake.OpComplete {
			want = errs.Unavailable
		}
		if err := o.do(t.Context(), s); !errs.Is(err, want) {
			t.Errorf("%s: %v, want %v", o.name, err, want)
		}
	}
}

func TestFaultsThatPassAreNotNoticed(t *testing.T) {
	for _, f := range []fake.Fault{
		{Kind: fake.Refuse, Status: 503, Times: 2}, {Kind: fake.Refuse, Status: 599, Times: 2},
		{Kind: fake.Refuse, Status: 573, Times: 1}, {Kind: fake.Cut, Times: 2}, {Kind: fake.Hijack, Times: 2},
		{Kind: fake.Drop, Times: 1},
	} {
		for _, o := range operations {
			if o.op == fake.OpDownload && f.Kind == fake.Hijack {
				continue // a download is known by its hash, not by a header
			}
			t.Run(fmt.Sprint(o.name, " ", f.Kind, f.Status), func(t *testing.T) {
				k, s := withObject(t)
				f.Op = o.op
				fail(t, k, f)
				if err := o.do(t.Context(), s); err != nil {
					t.Errorf("%v", err)
				}
				if strings.HasPrefix(o.name, "put large") {
					holds(t, k, content(block+1, 1))
				}
				// An upload whose beginning was not answered can't be known, and expires.
				if f.Kind != fake.Drop {
					noUploads(t, k)
				}
			})
		}
	}
}

// TestLies: the answers say success, and are wrong.
func TestLies(t *testing.T) {
	for _, size := range []int{10, block + 10} {
		for _, f := range []fake.Fault{
			{Op: fake.OpForm, Kind: fake.Lie}, {Op: fake.OpForm, Kind: fake.Lose}, {Op: fake.OpForm, Kind: fake.Damage},
			{Op: fake.OpPart, Kind: fake.Lie}, {Op: fake.OpPart, Kind: fake.Lose}, {Op: fake.OpPart, Kind: fake.Damage},
			{Op: fake.OpInit, Kind: fake.Lose},
			{Op: fake.OpComplete, Kind: fake.Lie}, {Op: fake.OpComplete, Kind: fake.Lose},
			{Op: fake.OpStat, Kind: fake.Lie}, {Op: fake.OpForm, Kind: fake.Hijack}, {Op: fake.OpPart, Kind: fake.Hijack},
		} {
			if (f.Op == fake.OpForm) != (size == 10) && f.Op != fake.OpStat {
				continue
			}
			t.Run(fmt.Sprint(f.Op, " ", f.Kind, " ", size), func(t *testing.T) {
				k := kodo(t)
				s := open(t, options(k))
				fail(t, k, f)
				if err := put(t.Context(), s, content(size, 1)); !errs.Is(err, errs.Unavailable) {
					t.Errorf("%v, want unavailable", err)
				}
				k.Heal()
				if err := put(t.Context(), s, content(size, 1)); err != nil {
					t.Errorf("when it is honest again: %v", err)
				}
				holds(t, k, content(size, 1))
				noUploads(t, k)
			})
		}
	}
}

func TestTheAnswerToTheLastRequestIsLost(t *testing.T) {
	k := kodo(t)
	s := open(t, options(k))
	fail(t, k, fake.Fault{Op: fake.OpComplete, Kind: fake.Drop, Times: 1})
	data := content(2*block, 1)
	if err := put(t.Context(), s, data); err != nil {
		t.Fatal(err)
	}
	holds(t, k, data)
	noUploads(t, k)
	if got := len(k.Requests(fake.OpPart)); got != 2 {
		t.Errorf("%d parts were sent, want 2", got)
	}
}

func TestAPartThatIsCutOffIsSentAgainByItself(t *testing.T) {
	k := kodo(t)
	s := open(t, options(k))
	fail(t, k, fake.Fault{Op: fake.OpPart, Part: 3, Kind: fake.Cut, Times: 2})
	data := content(5*block+1, 1)
	if err := put(t.Context(), s, data); err != nil {
		t.Fatal(err)
	}
	holds(t, k, data)
	if got := fmt.Sprint(sentParts(k)); got != "[1 2 3 4 5 6]" || len(k.Requests(fake.OpPart)) != 8 {
		t.Errorf("parts %s of %d requests", got, len(k.Requests(fake.OpPart)))
	}
}

func TestStallsEnd(t *testing.T) {
	for _, o := range operations {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			k := kodo(t)
			opts := options(k)
			opts.IdleTimeout = 150 * time.Millisecond
			s := open(t, opts)
			if err := s.Put(t.Context(), "there", strings.NewReader("there"), 5, storage.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			fail(t, k, fake.Fault{Op: o.op, Kind: fake.Stall})
			if err := o.do(t.Context(), s); !errs.Is(err, errs.Unavailable) {
				t.Errorf("%v, want unavailable", err)
			}
			k.Heal()
			// On a busy machine anything may stand still for that long once.
			testkit.Eventually(t, 30*time.Second, func() bool {
				err := o.do(t.Context(), s)
				return err == nil || errs.Is(err, errs.NotFound)
			}, "the operation to work when it moves again")
		})
	}
}

func TestSlowAnswersAreWaitedFor(t *testing.T) {
	k := kodo(t)
	o := options(k)
	o.IdleTimeout = 600 * time.Millisecond
	s := open(t, o)
	fail(t, k, fake.Fault{Kind: fake.Slow, Delay: 100 * time.Millisecond})
	if err := put(t.Context(), s, content(10, 1)); err != nil {
		t.Errorf("eight pieces, 100 ms apart: %v", err)
	}
	o.RequestTimeout = 100 * time.Millisecond
	if _, err := open(t, o).Stat(t.Context(), key); !errs.Is(err, errs.Unavailable) {
		t.Errorf("an answer that takes longer than a request may: %v", err)
	}
}

func TestNobodyListens(t *testing.T) {
	k := kodo(t)
	o := options(k)
	o.UpHosts, o.RSHost = []string{"http://" + closedAddress(t)}, "http://"+closedAddress(t)
	s := open(t, o)
	for _, c := range operations[:1] {
		if err := c.do(t.Context(), s); !errs.Is(err, errs.Unavailable) {
			t.Errorf("%s: %v, want unavailable", c.name, err)
		}
	}
	if _, err := s.Stat(t.Context(), key); !errs.Is(err, errs.Unavailable) {
		t.Errorf("stat: %v, want unavailable", err)
	}
}

func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestTheNextUpHostIsUsed(t *testing.T) {
	k := kodo(t)
	o := options(k)
	dead := closedAddress(t)
	o.UpHosts = []string{"http://" + dead, k.URL}
	dials := 0
	dialer := &net.Dialer{}
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == dead {
			dials++
		}
		return dialer.DialContext(ctx, network, address)
	}
	s := open(t, o)
	for range 3 {
		if err := put(t.Context(), s, content(10, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if dials != 1 {
		t.Errorf("the dead host was dialed %d times, want once", dials)
	}
}

func TestAWrongKeyIsRefused(t *testing.T) {
	k := kodo(t)
	for name, change := range map[string]func(*Options){
		"secret key": func(o *Options) { o.SecretKey = "another-secret-key" },
		"access key": func(o *Options) { o.AccessKey = "another-access-key" },
		"clock":      func(o *Options) { o.Now = func() time.Time { return time.Now().Add(-24 * time.Hour) } },
	} {
		o := options(k)
		change(&o)
		s := open(t, o)
		for _, size := range []int{10, 2 * block} {
			err := put(t.Context(), s, content(size, 1))
			if !errs.Is(err, errs.Forbidden) || !strings.Contains(err.Error(), "QINIU_SECRET_KEY") {
				t.Errorf("%s: %v, want forbidden with advice", name, err)
			}
			for _, secret := range []string{o.SecretKey, o.AccessKey} {
				if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
					t.Errorf("%s: %v tells a key", name, err)
				}
			}
		}
		if err := s.Check(t.Context()); !errs.Is(err, errs.Forbidden) {
			t.Errorf("%s: check: %v", name, err)
		}
		s.Close()
	}
	nothing(t, k)
	o := options(k)
	o.PrivateBucket = "another-bucket"
	s := open(t, o)
	if err := s.Check(t.Context()); !errs.Is(err, errs.NotFound) || errs.CodeOf(err) != codeBucket {
		t.Errorf("another bucket: %v", err)
	}
	if err := put(t.Context(), s, content(2*block, 1)); !errs.Is(err, errs.NotFound) || errs.CodeOf(err) != codeBucket {
		t.Errorf("put into another bucket: %v", err)
	}
}

func TestErrorsTellNoSecret(t *testing.T) {
	k := kodo(t)
	s := open(t, options(k))
	token := s.o.upToken(t, private)
	fail(t, k, fake.Fault{Kind: fake.Refuse, Status: 400, Text: "bad\nrequest " + token + " " + secretKey + strings.Repeat("x", 5000)})
	for _, o := range operations {
		err := o.do(t.Context(), s)
		if text := fmt.Sprint(err); err == nil || strings.Contains(text, secretKey) || strings.Contains(text, accessKey) ||
			strings.Contains(text, token[len(accessKey)+1:][:20]) || strings.Contains(text, "\n") || len(text) > 700 {
			t.Errorf("%s: %v", o.name, err)
		}
	}
}
