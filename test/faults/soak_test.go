//go:build soak

package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"exporthub/pkg/testkit"
	"exporthub/test/program"
	"exporthub/test/subscriber"
)

const (
	soakPeople = 40
	soakJobs   = 300
	soakRows   = 6000
	soakLease  = 3 * time.Second
)

// TestSoak lets 40 people ask for 300 exports of 2 API replicas and 3 workers while processes are
// killed, stopped and ended, Redis is emptied, stalled and cut off, and the database is cut off and
// stalled; then it checks what always holds. SOAK is how long (10m), SEED what happens.
func TestSoak(t *testing.T) {
	during, err := time.ParseDuration(environment("SOAK", "10m"))
	if err != nil {
		t.Fatalf("SOAK: %v", err)
	}
	seed, err := strconv.ParseUint(environment("SEED", strconv.FormatUint(rand.Uint64()>>12, 10)), 10, 64)
	if err != nil {
		t.Fatalf("SEED: %v", err)
	}
	t.Logf("SOAK=%s SEED=%d", during, seed)
	s := startSoak(t, seed)
	s.run(during)
	s.heal()
	s.check()
}

func environment(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// soak is a running soak. Everything but asking for exports happens in the test's goroutine.
type soak struct {
	*faulty
	random  *rand.Rand        // what breaks
	wishes  *rand.Rand        // who asks for what; apart, so that a busy machine changes no fault
	link    *testkit.TCPProxy // to Redis
	people  []faultPerson
	doors   []*door
	members []*soakProcess
	faults  map[string]int
	undo    []timed
	asking  sync.WaitGroup

	mu       sync.Mutex
	accepted map[string]int // person by job
	answers  map[string]int
}

// soakProcess is a program that is started again whenever it has ended, as orchestrators do.
type soakProcess struct {
	name    string
	environ []string
	p       *watched
	since   time.Time // of its end; zero while it runs
	busy    bool      // a fault has it
}

type timed struct {
	at time.Time
	do func()
}

func startSoak(t *testing.T, seed uint64) *soak {
	t.Helper()
	server := testkit.OwnRedis(t)
	s := &soak{
		random: rand.New(rand.NewPCG(seed, 1)), wishes: rand.New(rand.NewPCG(seed, 2)), link: testkit.Proxy(t, server.URL()), faults: map[string]int{},
		accepted: map[string]int{}, answers: map[string]int{},
	}
	s.faulty = startFaulty(t, soakRows, "REDIS_URL="+s.link.URL(server.URL()), "LEASE="+soakLease.String(), "EXPORT_QUEUE_LIMIT=1",
		"RETRY_DELAY=1s", "DRAIN_TIMEOUT=3s", "LOG_LEVEL=warn")
	s.redis = server
	first, second := s.URL[len("http://"):], program.FreeAddress(t)
	environ := s.environ[:len(s.environ):len(s.environ)]
	s.members = []*soakProcess{
		{name: "api", environ: environ, p: s.api},
		{name: "api", environ: append(environ, "HTTP_ADDR="+second), p: s.replica(second)},
	}
	for range 3 {
		s.members = append(s.members, &soakProcess{name: "worker", environ: environ, p: s.worker()})
	}
	s.doors = []*door{newDoor(t, first, second), newDoor(t, second, first)}
	var clients []string
	for i := range soakPeople {
		p := s.newPerson(fmt.Sprintf("138%08d", 100+i))
		s.people = append(s.people, p)
		clients = append(clients, s.doors[i%2].url()+"/faye", []string{"websocket", "long-polling"}[i/2%2], p.channel)
	}
	s.fleet = subscriber.StartFleet(t, clients...)
	s.fleet.Subscribed(soakPeople)
	return s
}

// run asks and breaks for as long as the soak lasts.
func (s *soak) run(during time.Duration) {
	end := time.Now().Add(during)
	last := end.Add(during + time.Minute) // by when a busy machine has to have taken every job
	next, fault := time.Now(), time.Now().Add(2*time.Second)
	for now := time.Now(); now.Before(end) || len(s.undo) > 0 || now.Before(last) && s.missing() > 0; now = time.Now() {
		s.supervise()
		for i := 0; i < len(s.undo); i++ {
			if !now.Before(s.undo[i].at) {
				s.undo[i].do()
				s.undo = append(s.undo[:i], s.undo[i+1:]...)
				i--
			}
		}
		if !now.Before(next) {
			// As many as are missing, spread over the time that is left.
			left := s.missing()
			next = now.Add(max(end.Sub(now)*8/10/time.Duration(max(left, 1)), 100*time.Millisecond))
			if left > 0 {
				who, format := s.wishes.IntN(soakPeople), []string{"xlsx", "csv", "jsonl"}[s.wishes.IntN(3)]
				door, cancel := s.wishes.IntN(2), s.wishes.IntN(20) == 0
				s.asking.Go(func() { s.ask(who, format, s.doors[door], cancel) })
			}
		}
		if now.Before(end) && !now.Before(fault) {
			fault = now.Add(time.Duration(1000+s.random.IntN(4000)) * time.Millisecond)
			s.breakOne()
		}
		waitBriefly()
	}
	s.asking.Wait()
}

// missing is how many exports have still to be accepted.
func (s *soak) missing() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return soakJobs - len(s.accepted)
}

// ask asks for one export, and at times cancels it.
func (s *soak) ask(who int, format string, d *door, cancel bool) {
	status, body := s.send("GET", d.url()+"/api/admin/invitations?export_format="+format, s.people[who].token)
	var answer struct {
		Code  int
		Error string
		Data  struct{ UUID string }
	}
	_ = json.Unmarshal(body, &answer) // what is no JSON is no acceptance
	s.mu.Lock()
	switch {
	case status == 401:
		s.T.Errorf("a good token is refused: %s", body)
	case status == 200 && answer.Code == 0:
		s.accepted[answer.Data.UUID] = who
		s.answers["accepted"]++
	case status == 200:
		s.answers["refused"]++
	default:
		s.answers[strconv.Itoa(status)]++
	}
	s.mu.Unlock()
	if cancel && answer.Data.UUID != "" {
		status, _ := s.send("DELETE", d.url()+"/api/exports/"+answer.Data.UUID, s.people[who].token)
		s.mu.Lock()
		s.answers["cancel "+strconv.Itoa(status)]++
		s.mu.Unlock()
	}
}

// send sends a request; 0 is no answer.
func (s *soak) send(method, url, token string) (status int, body []byte) {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		s.T.Error(err)
		return 0, nil
	}
	req.Header.Set("ACCESS-TOKEN", token)
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil {
		return 0, nil
	}
	return res.StatusCode, body
}

// supervise starts what has ended.
func (s *soak) supervise() {
	for _, m := range s.members {
		if m.since.IsZero() && m.p.Gone() {
			m.since = time.Now()
		}
		if !m.since.IsZero() && time.Since(m.since) > 500*time.Millisecond {
			m.p, m.since = s.start(m.name, m.environ), time.Time{}
		}
	}
}

// breakOne begins one fault, and plans its end.
func (s *soak) breakOne() {
	m := s.members[s.random.IntN(len(s.members))]
	length := time.Duration(500+s.random.IntN(5500)) * time.Millisecond
	later := func(name string, do func()) {
		s.faults[name]++
		s.undo = append(s.undo, timed{time.Now().Add(length), do})
	}
	kind := s.random.IntN(10)
	if kind < 5 && m.busy {
		return
	}
	switch kind {
	case 0, 1:
		s.faults["kill -9 of "+m.name]++
		m.p.Signal(syscall.SIGKILL)
	case 2:
		s.faults["SIGTERM of "+m.name]++
		m.p.Signal(syscall.SIGTERM)
	case 3, 4:
		p := m.p
		m.busy = true
		p.Signal(syscall.SIGSTOP)
		later("SIGSTOP of "+m.name, func() { p.Signal(syscall.SIGCONT); m.busy = false })
	case 5:
		s.service("Redis emptied", later, func() { s.redis.Kill() }, func() { s.redis.Restart() })
	case 6:
		s.service("Redis stalled", later, func() { s.redis.Freeze() }, func() { s.redis.Thaw() })
	case 7:
		s.service("Redis cut off", later, s.link.Cut, s.link.Restore)
	case 8:
		s.service("database cut off", later, s.proxy.Cut, s.proxy.Restore)
	case 9:
		s.service("database stalled", later, s.proxy.Stall, s.proxy.Restore)
	}
}

// service begins a fault of Redis or the database unless one of them is under way.
func (s *soak) service(name string, later func(string, func()), begin, end func()) {
	if s.faults["under way"] > 0 {
		return
	}
	s.faults["under way"] = 1
	begin()
	later(name, func() { end(); delete(s.faults, "under way") })
}

// heal waits until every program runs and answers.
func (s *soak) heal() {
	for _, address := range []string{s.doors[0].targets[0], s.doors[1].targets[0]} {
		testkit.Eventually(s.T, time.Minute, func() bool {
			s.supervise()
			res, err := http.Get("http://" + address + "/readyz")
			if err != nil {
				return false
			}
			res.Body.Close()
			return res.StatusCode == http.StatusOK
		}, "the api at %s to be ready", address)
	}
	s.supervise()
}

// check checks the invariants and tells the figures.
func (s *soak) check() {
	rows, err := s.sql.QueryContext(s.T.Context(), "SELECT uuid, owner_id FROM jobs")
	if err != nil {
		s.T.Fatal(err)
	}
	owners := map[string]int64{}
	for rows.Next() {
		var uuid string
		var owner int64
		if err := rows.Scan(&uuid, &owner); err != nil {
			s.T.Fatal(err)
		}
		owners[uuid] = owner
	}
	if err := rows.Close(); err != nil {
		s.T.Fatal(err)
	}
	for uuid := range s.accepted {
		if owners[uuid] == 0 {
			s.T.Errorf("job %s was accepted and is not there", uuid)
		}
	}
	ends, attempts := map[string]int{}, map[int]int{}
	for uuid, owner := range owners {
		var j faultJob
		testkit.Eventually(s.T, 3*time.Minute, func() bool {
			s.supervise()
			j = s.job(uuid)
			return subscriber.Over(subscriber.Event{Status: j.state})
		}, "job %s to end", uuid)
		ends[j.state]++
		attempts[j.attempt]++
		if j.state == "failure" {
			s.T.Logf("job %s failed: %s", uuid, j.failure)
		}
		for client, p := range s.people {
			if p.id == owner {
				s.fleet.EndedFor(client, uuid, j.state)
			}
		}
	}
	s.clean()
	s.balanced()
	s.fleet.Leave()
	s.quiet()
	found, err := filepath.Glob(filepath.Join(s.files, "export", "*"))
	if err != nil || len(found) != ends["success"] {
		s.T.Errorf("%d files of %d jobs that succeeded (%v)", len(found), ends["success"], err)
	}
	if len(owners) < soakJobs {
		s.T.Errorf("%d jobs were accepted, want %d", len(owners), soakJobs)
	}
	s.T.Logf("%d jobs: %s; by attempts: %v", len(owners), figures(ends), attempts)
	s.T.Logf("answers: %s", figures(s.answers))
	s.T.Logf("faults: %s", figures(s.faults))
}

func figures(of map[string]int) string {
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	sort.Strings(names)
	text := ""
	for _, name := range names {
		text += fmt.Sprintf("%s %d, ", name, of[name])
	}
	return text
}
