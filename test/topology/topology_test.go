package topology

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/testkit"
	"exporthub/test/program"
	"exporthub/test/subscriber"
)

// topology is the system as compose and make up run it: two API replicas, workers, Redis and
// PostgreSQL.
type topology struct {
	*program.Parts
	replicas [2]*program.App
	db       *database.DB
	people   *auth.Service
}

func startTopology(t testing.TB, rows int, more ...string) *topology {
	t.Helper()
	p := program.StartParts(t, rows, append([]string{"EXPORT_RATE=0", "LOG_LEVEL=warn"}, more...)...)
	address := program.FreeAddress(t)
	other := &program.App{T: t, URL: "http://" + address}
	program.Ready(t, other.URL, program.Spawn(t, "api", append(p.Environ, "HTTP_ADDR="+address)))
	s := &topology{Parts: p, replicas: [2]*program.App{p.App, other}}
	s.db, s.people = program.Identity(t, p.DSN, program.Secret, "test")
	return s
}

// member is a person of the tests, signed in.
type member struct {
	token, channel string
}

// member adds a person and signs them in.
func (s *topology) member(account string) member {
	s.T.Helper()
	p := program.Person(s.T, s.people, account, auth.Staff)
	token, err := s.people.Renew(p)
	if err != nil {
		s.T.Fatal(err)
	}
	return member{token: token.Value, channel: s.people.ExportChannel(p)}
}

const alreadyActive = "当前用户已经有导出任务排队或执行,请稍后再试"

func TestTwoReplicasAndThreeWorkers(t *testing.T) {
	const rows = 6000
	s := startTopology(t, rows, "PROGRESS_EVERY=5ms")
	files := map[string]bool{}

	// Two hundred at once, over both replicas, before any worker could end one: one is accepted.
	racer := s.member("13800000031")
	uuid := s.race(t, racer.token, 200)
	for range 3 {
		s.Worker()
	}
	files[*s.replicas[0].Finished(racer.token, uuid).FileURL] = true

	for i, asked := range s.replicas {
		t.Run(fmt.Sprintf("asked of replica %d", i+1), func(t *testing.T) {
			// With no export before, whose end would be replayed.
			me := s.member(fmt.Sprintf("1380000004%d", i))
			stock, raw := map[string]*subscriber.Stock{}, map[string]*subscriber.Raw{}
			for n, followed := range s.replicas {
				for _, transport := range []string{"websocket", "long-polling"} {
					stock[fmt.Sprintf("%s on replica %d", transport, n+1)] = subscriber.Start(t, followed.URL, me.channel, transport)
				}
				who := fmt.Sprintf("callback-polling on replica %d", n+1)
				raw[who] = subscriber.JSONP(t, who, followed.URL, me.channel)
			}
			for _, f := range stock {
				f.Subscribed()
			}
			for _, f := range raw {
				f.Subscribed(t)
			}
			uuid, refusal, err := asked.Ask(me.token, "export_format=xlsx")
			if err != nil || refusal != "" {
				t.Fatal(refusal, err)
			}
			for who, f := range stock {
				checkStory(t, who, f.Until(time.Minute, subscriber.EndOf(uuid)), uuid, rows)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for who, f := range raw {
				events, err := f.Until(ctx, subscriber.EndOf(uuid))
				if err != nil {
					t.Fatal(err)
				}
				checkStory(t, who, events, uuid, rows)
			}
			j := s.replicas[1-i].Finished(me.token, uuid)
			files[*j.FileURL] = true
		})
	}
	for link := range files {
		checkFile(t, s.replicas[0], link, rows)
		one, other := s.replicas[0].Do("GET", program.PathOf(t, link), nil), s.replicas[1].Do("GET", program.PathOf(t, link), nil)
		if !bytes.Equal(one.Body, other.Body) {
			t.Errorf("the replicas answer %d and %d with different files", one.Status, other.Status)
		}
	}
	s.Checked()
}

// race sends n requests of one person at once, to the replicas in turn, and returns the one export
// that is accepted.
func (s *topology) race(t *testing.T, token string, n int) (accepted string) {
	t.Helper()
	var wait sync.WaitGroup
	start := make(chan struct{})
	uuids, refusals, errs := make([]string, n), make([]string, n), make([]error, n)
	for i := range n {
		wait.Go(func() {
			<-start
			uuids[i], refusals[i], errs[i] = s.replicas[i%len(s.replicas)].Ask(token, "export_format=xlsx")
		})
	}
	close(start)
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i, uuid := range uuids {
		switch {
		case uuid != "" && accepted != "":
			t.Fatalf("two were accepted: %s and %s", accepted, uuid)
		case uuid != "":
			accepted = uuid
		case refusals[i] != alreadyActive:
			t.Fatalf("refused with %q", refusals[i])
		}
	}
	if accepted == "" {
		t.Fatal("none was accepted")
	}
	return accepted
}

// crowd is many people who export different rows at the same time.
const (
	crowd     = 100
	crowdStep = 30 // person n exports the newest crowdStep*(n+1) rows
	crowdRows = crowd * crowdStep
	demoPause = 97 * time.Second // between two demo rows
)

var crowdFormats = []string{"xlsx", "csv", "jsonl"}

func TestAHundredPeopleExportAtOnceWhileWorkersComeAndGo(t *testing.T) {
	// A short drain, so that jobs are handed from worker to worker and not only waited for.
	s := startTopology(t, crowdRows, "DRAIN_TIMEOUT=100ms")
	newest, err := newestInvitation(t.Context(), s.db)
	if err != nil {
		t.Fatal(err)
	}
	members, subscribers := make([]member, crowd), make([]*subscriber.Raw, crowd)
	for i := range members {
		members[i] = s.member(fmt.Sprintf("1390000%04d", i))
		subscribers[i] = subscriber.Socket(t, fmt.Sprintf("person %d", i), s.replicas[i%2].URL, members[i].channel)
	}
	for _, f := range subscribers {
		f.Subscribed(t)
	}
	workers := []*program.Process{s.Worker(), s.Worker(), s.Worker()}

	uuids := make([]string, crowd)
	var ended, again atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	for i, m := range members {
		g.Go(func() error {
			since := newest.Add(-time.Duration(crowdStep*(i+1)-1)*demoPause - time.Second)
			query := url.Values{"export_format": {crowdFormats[i%len(crowdFormats)]}, "created_at_gtq": {since.Format(time.RFC3339)}}
			uuid, refusal, err := s.replicas[(i+1)%2].Ask(m.token, query.Encode())
			if err != nil || refusal != "" {
				return fmt.Errorf("person %d: %s%w", i, refusal, orNone(err))
			}
			uuids[i] = uuid
			events, err := subscribers[i].Until(ctx, subscriber.Over)
			if err != nil {
				return err
			}
			ended.Add(1)
			again.Add(int64(events[len(events)-1].Attempt - 1))
			return checkOwnStory(events, uuid, int64(crowdStep*(i+1)))
		})
	}
	// Meanwhile a worker goes and another comes, again and again.
	for k := range 4 {
		testkit.Eventually(t, time.Minute, func() bool {
			return ctx.Err() != nil || ended.Load() >= int64(crowd/8*(k+1))
		}, "some exports to end")
		workers[k].Signal(syscall.SIGTERM)
		workers = append(workers, s.Worker())
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for k := range 4 {
		if err := workers[k].Ended(30 * time.Second); err != nil {
			t.Errorf("worker %d ended with %v", k, err)
		}
	}
	for i, m := range members {
		a := s.replicas[i%2]
		j := a.Finished(m.token, uuids[i])
		if j.Status != "success" || j.FileURL == nil {
			t.Fatalf("person %d: %+v", i, j)
		}
		ids := program.RowIDs(t, crowdFormats[i%len(crowdFormats)], a.Do("GET", program.PathOf(t, *j.FileURL), nil).Body)
		if want := crowdStep * (i + 1); len(ids) != want || ids[0] != crowdRows || ids[len(ids)-1] != int64(crowdRows-want+1) {
			t.Errorf("person %d: %d rows, want the newest %d of %d", i, len(ids), want, crowdRows)
		}
		for k := 1; k < len(ids); k++ {
			if ids[k] != ids[k-1]-1 {
				t.Fatalf("person %d: row %d is followed by %d", i, ids[k-1], ids[k])
			}
		}
		if other := a.Do("GET", "/api/exports/"+uuids[(i+1)%crowd], nil, "ACCESS-TOKEN", m.token); other.Status != 404 {
			t.Errorf("person %d reads another's export: %d", i, other.Status)
		}
	}
	t.Logf("%d attempts were handed from worker to worker", again.Load())
	s.Checked()
}

var errNone = errors.New("")

func orNone(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

func newestInvitation(ctx context.Context, db *database.DB) (time.Time, error) {
	var micros int64
	err := db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		return tx.QueryRow(ctx, "SELECT MAX(created_at) FROM invitations").Scan(&micros)
	})
	return time.UnixMicro(micros), err
}

// checkOwnStory checks that a person received events of their own export only, up to its success.
func checkOwnStory(events []subscriber.Event, uuid string, rows int64) error {
	for _, e := range events {
		if e.UUID != uuid {
			return fmt.Errorf("%s received %s", uuid, e.UUID)
		}
	}
	last := events[len(events)-1]
	if last.Status != "success" || last.Count == nil || *last.Count != rows {
		return fmt.Errorf("%s ended %+v, want %d rows", uuid, last, rows)
	}
	return nil
}

// What the proxy says of a client's address is believed when it is trusted, on every replica, and
// of no other client: a locked-out address stays locked out whatever a client claims.
func TestOnlyTheTrustedProxyTellsAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		trusted string
		// Whether the sixth attempt, which claims another address, finds the first one's lock.
		locked bool
	}{
		"a trusted proxy":  {"127.0.0.1", false},
		"somebody unknown": {netip.MustParseAddr("192.0.2.1").String(), true},
	} {
		t.Run(name, func(t *testing.T) {
			a := program.StartEmbedded(t, "DEMO_ROWS=1", "TRUSTED_PROXIES="+c.trusted)
			try := func(from, password string) program.Answer {
				return a.Do("POST", "/api/access/token", map[string]string{"account": "13800000003", "password": password}, "X-Forwarded-For", from)
			}
			for range 5 {
				try("198.51.100.7", "wrong-one")
			}
			if res := try("198.51.100.8", "123456"); (res.Status != 200) != c.locked {
				t.Errorf("from another address: %d %s", res.Status, res.Body)
			}
		})
	}
}
