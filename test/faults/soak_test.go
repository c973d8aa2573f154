//go:build soak

package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
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

	// Of all kills at least one in so many has to meet a running job.
	soakHits = 5
)

// TestSoak lets 40 people ask for 300 exports of 2 API replicas and 3 workers while processes are
// killed, stopped and ended, Redis is emptied, stalled and cut off, and the database is cut off and
// stalled; then it checks what always holds. SOAK is how long (10m), SEED what happens.
//
// Half of the exports are of three rows; the others are of all, and of those that come to the last
// row while the gate before it is shut each waits there, in a worker's hands. That is what the
// kills meet, which is counted, and demanded.
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
	random    *rand.Rand // what breaks
	wishes    *rand.Rand // who asks for what; apart, so that a busy machine changes no fault
	gateTimes *rand.Rand
	hits      int               // kills that met a running job
	stalling  bool              // what is sent to the database waits
	link      *testkit.TCPProxy // to Redis
	people    []faultPerson
	doors     []*door
	members   []*soakProcess
	faults    map[string]int
	undo      []timed
	open      func() // the gate before the last row; nil while it is open
	turn      time.Time
	met       []metJob
	asking    sync.WaitGroup

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

// metJob is a job that a worker had when it was killed.
type metJob struct {
	uuid    string
	attempt int
	sure    bool // nothing that the worker had sent before could still reach the row
}

type timed struct {
	at time.Time
	do func()
}

func startSoak(t *testing.T, seed uint64) *soak {
	t.Helper()
	server := testkit.OwnRedis(t)
	s := &soak{
		random:    rand.New(rand.NewPCG(seed, 1)),
		wishes:    rand.New(rand.NewPCG(seed, 2)),
		gateTimes: rand.New(rand.NewPCG(seed, 3)),
		link:      testkit.Proxy(t, server.URL()),
		faults:    map[string]int{},
		accepted:  map[string]int{},
		answers:   map[string]int{},
	}
	s.faulty = startFaulty(t, soakRows, "REDIS_URL="+s.link.URL(server.URL()), "LEASE="+soakLease.String(), "EXPORT_QUEUE_LIMIT=1",
		"RETRY_DELAY=1s", "DRAIN_TIMEOUT=3s", "LOG_LEVEL=warn")
	s.redis = server
	s.gates()
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
		s.turnGate(now, now.Before(end))
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
				if s.wishes.IntN(2) == 0 {
					format += "&ids=2,3,4"
				}
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
	s.turnGate(time.Now(), false)
	s.asking.Wait()
}

// turnGate shuts the gate for some seconds and opens it for some, and leaves it open at the end.
func (s *soak) turnGate(now time.Time, going bool) {
	switch {
	case s.open != nil && (!going || now.After(s.turn)):
		s.open()
		s.open = nil
	case s.open == nil && going && now.After(s.turn):
		s.open = s.shut("rows")
	default:
		return
	}
	s.turn = now.Add(time.Duration(2000+s.gateTimes.IntN(4000)) * time.Millisecond)
}

// kill kills a program and notes which running jobs that met. Rows whose worker has ended change
// only when a lease has passed.
func (s *soak) kill(m *soakProcess) {
	s.faults["kill -9 of "+m.name]++
	m.p.Signal(syscall.SIGKILL)
	_ = m.p.Ended(10 * time.Second)
	rows, err := s.sql.QueryContext(s.T.Context(), "SELECT uuid, attempt FROM jobs WHERE strpos(lease_owner, $1) > 0"+
		" AND finished_at IS NULL", pidOf(m.p))
	if err != nil {
		s.T.Fatal(err)
	}
	defer rows.Close()
	before := len(s.met)
	for rows.Next() {
		j := metJob{sure: !s.stalling}
		if err := rows.Scan(&j.uuid, &j.attempt); err != nil {
			s.T.Fatal(err)
		}
		s.met = append(s.met, j)
	}
	if err := rows.Err(); err != nil {
		s.T.Fatal(err)
	}
	if len(s.met) > before {
		s.hits++
	}
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
		s.kill(m)
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
		s.service("database stalled", later, func() { s.proxy.Stall(); s.stalling = true },
			func() { s.proxy.Restore(); s.stalling = false })
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
