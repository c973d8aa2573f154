package faults

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"exporthub/pkg/testkit"
)

// TestFaultRedis: killed and restarted empty, stalled, unreachable. What was accepted finishes, new
// exports are accepted meanwhile, tasks are enqueued soon after its return, and stock clients
// receive every end.
func TestFaultRedis(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		during  time.Duration
		empties bool
		begin   func(*faulty, *testkit.TCPProxy)
		end     func(*faulty, *testkit.TCPProxy)
	}{
		{"restarted empty", time.Second, true, func(f *faulty, _ *testkit.TCPProxy) { f.redis.Kill() }, func(f *faulty, _ *testkit.TCPProxy) { f.redis.Restart() }},
		{"stalled", length.stall, false, func(f *faulty, _ *testkit.TCPProxy) { f.redis.Freeze() }, func(f *faulty, _ *testkit.TCPProxy) { f.redis.Thaw() }},
		{"unreachable", length.outage, false, func(_ *faulty, p *testkit.TCPProxy) { p.Cut() }, func(_ *faulty, p *testkit.TCPProxy) { p.Restore() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var proxy *testkit.TCPProxy
			f := startFaultyRedis(t, 3000, &proxy)
			f.gates()
			f.follow()
			f.worker()
			through := redisClient(t, proxy.URL(f.redis.URL()))
			if err := through.Set(t.Context(), "fault:marker", 1, 0).Err(); err != nil {
				t.Fatal(err)
			}
			open := f.shut("rows")
			running := f.held("writing_file")
			waiting := make([]string, 0, 8)
			for range 6 {
				waiting = append(waiting, f.queue()) // more than a worker takes at once
			}

			c.begin(f, proxy)
			began := time.Now()
			if err := through.Ping(t.Context()).Err(); err == nil {
				t.Fatal("Redis answers: the fault did not hit")
			}
			open()
			asked := time.Now()
			waiting = append(waiting, f.queue(), f.queue())
			if took := time.Since(asked); took > 10*time.Second {
				t.Errorf("two exports were accepted after %s", took)
			}
			f.await(running, time.Minute, "to succeed without Redis", func(j faultJob) bool { return j.state == "success" })
			f.holds(c.during-time.Since(began), 200)
			c.end(f, proxy)
			back := time.Now()
			testkit.Eventually(t, requeued, func() bool { return through.Ping(t.Context()).Err() == nil }, "Redis to answer again")
			kept, err := through.Exists(t.Context(), "fault:marker").Result()
			if err != nil || c.empties != (kept == 0) {
				t.Errorf("%d of the keys before are in Redis (%v)", kept, err)
			}
			for _, uuid := range waiting {
				f.await(uuid, time.Minute, "to be taken", func(j faultJob) bool { return j.state != "queued" })
			}
			if took := time.Since(back); took > requeued {
				t.Errorf("the last job was taken %s after Redis was back, want within %s", took, requeued)
			} else {
				t.Logf("the last job was taken %s after Redis was back", took.Round(10*time.Millisecond))
			}
			f.settled(success)
			for _, uuid := range f.jobs {
				if j := f.job(uuid); j.attempt != 1 {
					t.Errorf("job %s took %d attempts: Redis is no reason to begin again", uuid, j.attempt)
				}
			}
		})
	}
}

// redisClient is a client that gives up soon.
func redisClient(t testing.TB, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.DialTimeout, o.ReadTimeout, o.MaxRetries = time.Second, time.Second, -1
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// startFaultyRedis puts a proxy before Redis too.
func startFaultyRedis(t testing.TB, rows int, proxy **testkit.TCPProxy) *faulty {
	t.Helper()
	server := testkit.OwnRedis(t)
	*proxy = testkit.Proxy(t, server.URL())
	f := startFaulty(t, rows, "REDIS_URL="+(*proxy).URL(server.URL()))
	f.redis = server
	return f
}

// holds asks for the list again and again for as long as a fault lasts: always answered as wanted,
// never a 401.
func (f *faulty) holds(during time.Duration, want int) {
	f.T.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); waitBriefly() {
		if res := f.Do("GET", "/api/admin/invitations?per_page=1", nil, "ACCESS-TOKEN", f.person.token); res.Status != want {
			f.T.Fatalf("the list is answered %d %s, want %d", res.Status, res.Body, want)
		}
	}
}

// TestFaultDatabase: requests answer 503 in their envelope, nothing is half-written, running jobs
// go back to the queue, and no worker is taken for dead when it returns.
func TestFaultDatabase(t *testing.T) {
	t.Parallel()
	f := startFaulty(t, 3000)
	f.gates()
	f.follow()
	workers := []*watched{f.worker(), f.worker()}
	open := f.shut("rows")
	running := make([]string, 0, 3)
	for range 3 {
		running = append(running, f.held("writing_file"))
	}

	f.proxy.Cut()
	cut := time.Now()
	open()
	testkit.Eventually(t, 10*time.Second, func() bool { return f.away() }, "a 503 with Retry-After, in its envelope")
	for end := cut.Add(length.outage); time.Now().Before(end); waitBriefly() {
		if !f.away() {
			t.Fatal("an answer while the database is away")
		}
	}
	before := map[string]faultJob{}
	for _, uuid := range running {
		before[uuid] = f.job(uuid)
	}
	f.proxy.Restore()
	back := time.Now()
	testkit.Eventually(t, 20*time.Second, func() bool {
		return f.Do("GET", "/api/admin/invitations?per_page=1", nil, "ACCESS-TOKEN", f.person.token).Status == 200
	}, "the list to be answered again")
	fresh := f.queue()
	for _, uuid := range running {
		j := f.await(uuid, length.lease+time.Minute, "to begin again", func(j faultJob) bool { return j.attempt > 1 })
		// Thought dead only after everybody could have renewed: never at once.
		if took := time.Since(back); j.takeovers > 0 && took < length.lease*8/10 {
			t.Errorf("taken over %s after the database was back, before a lease (%s) had passed", took, length.lease)
		}
	}
	f.settled(success)
	for _, uuid := range running {
		if j := f.job(uuid); j.attempt != 2 || j.takeovers > 1 {
			t.Errorf("job %s: attempt %d after %d takeovers, want one fresh attempt", uuid, j.attempt, j.takeovers)
		}
	}
	if j := f.job(fresh); j.attempt != 1 {
		t.Errorf("the export asked for after the outage took %d attempts", j.attempt)
	}
	for _, w := range workers {
		if w.Gone() {
			t.Error("a worker ended")
		}
	}
}

// away reports whether the list is answered 503 in its envelope, with a word on when to come back.
func (f *faulty) away() bool {
	f.T.Helper()
	res := f.Do("GET", "/api/admin/invitations?per_page=1", nil, "ACCESS-TOKEN", f.person.token)
	if res.Status == http.StatusUnauthorized {
		f.T.Fatalf("the database's absence ends tokens: %s", res.Body)
	}
	return res.Status == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != "" &&
		strings.Contains(string(res.Body), `"error":"errors/unavailable_error"`)
}

// TestFaultDatabaseStalls: a database that says nothing for a while and then goes on is no reason
// for anything to fail.
func TestFaultDatabaseStalls(t *testing.T) {
	t.Parallel()
	f := startFaulty(t, 3000)
	f.gates()
	f.follow()
	f.worker()
	open := f.shut("rows")
	uuid := f.held("writing_file")
	f.proxy.Stall()
	open()
	var asking sync.WaitGroup
	asking.Go(func() {
		// It waits, or is asked to come back; it is not refused for want of a token.
		req, err := http.NewRequestWithContext(t.Context(), "GET", f.URL+"/api/admin/invitations?per_page=1", nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("ACCESS-TOKEN", f.person.token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		if body, _ := io.ReadAll(res.Body); res.StatusCode != 200 && res.StatusCode != 503 {
			t.Errorf("answered %d %s", res.StatusCode, body)
		}
	})
	// A stall is a stretch of time: nothing happens that could be waited for.
	<-time.After(2 * length.lease)
	if n := f.count("SELECT count(*) FROM jobs WHERE uuid = $1 AND attempt = 1"+
		" AND lease_until < EXTRACT(EPOCH FROM statement_timestamp()) * 1000000", uuid); n != 1 {
		t.Fatalf("the lease goes on: the fault did not hit %+v", f.job(uuid))
	}
	f.proxy.Restore()
	asking.Wait()
	f.await(uuid, time.Minute+length.takeover, "to succeed", func(j faultJob) bool { return j.state == "success" })
	f.settled(success)
}
