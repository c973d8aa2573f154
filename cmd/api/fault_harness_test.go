package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/invitation"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/testkit"
)

// lengths are the times of the faults' tests.
type lengths struct {
	scaled   bool
	lease    time.Duration
	takeover time.Duration // from a worker's death until another has its job
	outage   time.Duration // of Redis and of the database
	stall    time.Duration // of Redis
}

// rung is how soon after Redis is back doorbells have rung again.
const rung = 5 * time.Second

// faulty is the system as separate processes on a Redis of its own and a PostgreSQL behind a proxy, with a hand on its gates.
type faulty struct {
	*app
	environ []string
	dsn     string // past the proxy
	proxy   *testkit.TCPProxy
	redis   *testkit.RedisServer
	api     *process
	db      *database.DB
	sql     *sql.DB
	people  *auth.Service
	files   string
	spool   string
	metrics string
	fleet   *fleet
	person  faultPerson
	jobs    []string // accepted
}

type faultPerson struct {
	id             int64
	token, channel string
}

// startFaulty starts an api; workers are the test's to start. Variables in more win.
func startFaulty(t testing.TB, rows int, more ...string) *faulty {
	t.Helper()
	f := &faulty{dsn: dbtest.PostgresURL(t), redis: testkit.OwnRedis(t), metrics: freeAddress(t)}
	f.proxy = testkit.Proxy(t, f.dsn)
	address, shared := freeAddress(t), t.TempDir()
	f.app = &app{t: t, url: "http://" + address}
	f.files, f.spool = filepath.Join(shared, "files"), filepath.Join(shared, "spool")
	f.environ = append([]string{
		"APP_ENV=test", "HTTP_ADDR=" + address, "PUBLIC_URL=" + f.url, "DATABASE_URL=" + f.proxy.URL(f.dsn), "REDIS_URL=" + f.redis.URL(),
		"AUTH_SECRET=" + testSecret, "STORAGE_DIR=" + f.files, "SPOOL_DIR=" + f.spool, "PATH=/usr/bin:/bin",
		"LEASE=" + length.lease.String(), "EXPORT_QUEUE_LIMIT=20", "EXPORT_RATE=0", "RETRY_DELAY=200ms", "UPLOAD_RETRY_DELAY=200ms",
		"CLEANUP_EVERY=500ms", "CLEANUP_GRACE=2s", "DRAIN_TIMEOUT=1s", "METRICS_ADDR=" + f.metrics,
	}, more...)
	f.api = spawn(t, "api", f.environ)
	ready(t, f.url, f.api)
	var err error
	if f.db, err = database.Open(t.Context(), f.dsn, database.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.db.Close() })
	if f.sql, err = sql.Open("pgx", f.dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.sql.Close() })
	if f.people, err = auth.New(auth.Options{DB: f.db, Secret: testSecret, Env: "test"}); err != nil {
		t.Fatal(err)
	}
	if err := invitation.Module(admin.Deps{DB: f.db}).Demo(t.Context(), f.db, rows); err != nil {
		t.Fatal(err)
	}
	f.person = f.newPerson("13800000031")
	return f
}

// worker starts a worker.
func (f *faulty) worker(more ...string) *process {
	f.t.Helper()
	return spawn(f.t, "worker", append(append(f.environ[:len(f.environ):len(f.environ)], "METRICS_ADDR="), more...))
}

func (f *faulty) newPerson(phone string) faultPerson {
	f.t.Helper()
	id, err := f.people.EnsurePerson(f.t.Context(), auth.Person{Account: phone, Phone: phone, Name: phone, Role: auth.Staff}, "")
	if err != nil {
		f.t.Fatal(err)
	}
	p, err := f.people.Person(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	token, err := f.people.Renew(p)
	if err != nil {
		f.t.Fatal(err)
	}
	return faultPerson{id, token.Value, f.people.ExportChannel(p)}
}

// exec changes the database past the proxy.
func (f *faulty) exec(query string, args ...any) {
	f.t.Helper()
	if _, err := f.sql.ExecContext(f.t.Context(), query, args...); err != nil {
		f.t.Fatal(err)
	}
}

// gates lets tests hold a worker between two states, or while it reads rows: the database keeps it waiting.
func (f *faulty) gates() {
	f.t.Helper()
	f.exec(`CREATE FUNCTION fault_gate(name text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN
		IF current_query() ILIKE '%count(*)%' THEN RETURN true; END IF;
		WHILE NOT pg_try_advisory_lock_shared(hashtext(name)) LOOP PERFORM pg_sleep(0.02); END LOOP;
		PERFORM pg_advisory_unlock_shared(hashtext(name));
		RETURN true; END $$`)
	f.exec(`CREATE FUNCTION fault_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM fault_gate(OLD.state || '>' || NEW.state); RETURN NEW; END $$`)
	f.exec(`CREATE TRIGGER fault_step BEFORE UPDATE ON jobs FOR EACH ROW
		WHEN (OLD.state <> NEW.state AND OLD.attempt = 1 AND NEW.attempt = 1) EXECUTE FUNCTION fault_step()`)
	f.exec(`ALTER TABLE invitations RENAME TO invitations_all`)
	f.exec(`CREATE VIEW invitations AS SELECT * FROM invitations_all i WHERE CASE WHEN i.id = 1 THEN fault_gate('rows') ELSE true END`)
}

// shut closes a gate until open is called.
func (f *faulty) shut(gate string) (open func()) {
	f.t.Helper()
	conn, err := f.sql.Conn(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := conn.ExecContext(f.t.Context(), "SELECT pg_advisory_lock(hashtext($1))", gate); err != nil {
		f.t.Fatal(err)
	}
	var once sync.Once
	open = func() {
		once.Do(func() {
			// The session may be needed for other gates: let go by name, then give it back.
			_, _ = conn.ExecContext(context.Background(), "SELECT pg_advisory_unlock(hashtext($1))", gate)
			_ = conn.Close()
		})
	}
	f.t.Cleanup(open)
	return open
}

// faultJob is a job's row.
type faultJob struct {
	state              string
	attempt, takeovers int
	step               int
	owner, failure     string
	updated            int64
}

func (f *faulty) job(uuid string) (j faultJob) {
	f.t.Helper()
	err := f.sql.QueryRowContext(f.t.Context(), "SELECT state, attempt, takeovers, step, lease_owner, failure, updated_at FROM jobs WHERE uuid = $1", uuid).
		Scan(&j.state, &j.attempt, &j.takeovers, &j.step, &j.owner, &j.failure, &j.updated)
	if err != nil {
		f.t.Fatal(err)
	}
	return j
}

// await waits until a job's row is as cond says.
func (f *faulty) await(uuid string, within time.Duration, what string, cond func(faultJob) bool) faultJob {
	f.t.Helper()
	var j faultJob
	testkit.Eventually(f.t, within, func() bool {
		j = f.job(uuid)
		return cond(j)
	}, "job %s: %s", uuid, what)
	return j
}

// queue asks for an export of every invitation.
func (f *faulty) queue(more ...string) string {
	f.t.Helper()
	res := f.do("GET", "/api/admin/invitations?export_format=csv"+strings.Join(more, ""), nil, "ACCESS-TOKEN", f.person.token)
	var body struct {
		Code int
		Data struct{ UUID string }
	}
	res.json(f.t, &body)
	if res.status != 200 || body.Code != 0 {
		f.t.Fatalf("not accepted: %d %s", res.status, res.body)
	}
	f.jobs = append(f.jobs, body.Data.UUID)
	return body.Data.UUID
}

// held queues an export and waits until it has come to a gate.
func (f *faulty) held(state string) string {
	f.t.Helper()
	uuid := f.queue()
	f.await(uuid, time.Minute, "to be in "+state, func(j faultJob) bool { return j.state == state && j.attempt == 1 })
	return uuid
}

// follow starts stock clients on the person's channel, one by websocket and one by polling.
func (f *faulty) follow() {
	f.t.Helper()
	f.fleet = startFleet(f.t, f.url+"/faye", "websocket", f.person.channel, f.url+"/faye", "long-polling", f.person.channel)
	f.fleet.subscribed(2)
}

// settled checks what holds after every fault: each accepted job ended once, in the state that is wanted, everybody who
// follows was told so once; one file or none; counters equal rows; nothing left lying about.
func (f *faulty) settled(want func(uuid string) string) {
	f.t.Helper()
	for _, uuid := range f.jobs {
		j := f.await(uuid, 2*time.Minute, "to end", func(j faultJob) bool { return over(progress{Status: j.state}) })
		if j.state != want(uuid) {
			f.t.Errorf("job %s ended as %s %s, want %s", uuid, j.state, j.failure, want(uuid))
		}
		if f.fleet != nil {
			f.fleet.ended(uuid, j.state)
		}
	}
	f.clean()
	f.balanced()
}

func success(string) string { return "success" }

// clean waits until the store holds the files of the jobs that succeeded and nothing else, and the spool nothing.
func (f *faulty) clean() {
	f.t.Helper()
	var found string
	deadline := time.Now().Add(30*time.Second + length.lease)
	for {
		if found = f.litter(); found == "" {
			return
		}
		if time.Now().After(deadline) {
			f.t.Errorf("left behind: %s", found)
			return
		}
		waitBriefly()
	}
}

// waitBriefly is the pause of a loop that looks at something with a deadline.
func waitBriefly() { <-time.After(50 * time.Millisecond) }

// litter tells what lies in the store and the spool that should not, or is missing there.
func (f *faulty) litter() string {
	rows, err := f.sql.QueryContext(f.t.Context(), "SELECT object_key FROM exports WHERE object_key IS NOT NULL AND file_removed_at IS NULL")
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	missing := map[string]bool{}
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			f.t.Fatal(err)
		}
		missing[key] = true
	}
	var problems []string
	for _, dir := range []string{f.files, f.spool} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil // what is removed meanwhile is no litter
			}
			key, _ := filepath.Rel(dir, path)
			if dir == f.files && missing[key] {
				delete(missing, key)
				return nil
			}
			problems = append(problems, path)
			return nil
		})
		if err != nil {
			f.t.Fatal(err)
		}
	}
	for key := range missing {
		problems = append(problems, "missing: "+key)
	}
	return strings.Join(problems, ", ")
}

// balanced runs -check.
func (f *faulty) balanced() {
	f.t.Helper()
	dir, err := programs()
	if err != nil {
		f.t.Fatal(err)
	}
	check := exec.Command(filepath.Join(dir, "api"), "-check")
	check.Env, check.Dir = append(f.environ[:len(f.environ):len(f.environ)], "DATABASE_URL="+f.dsn), f.t.TempDir()
	if out, err := check.Output(); err != nil || !strings.Contains(string(out), "0 differences") {
		f.t.Errorf("-check: %v\n%s", err, out)
	}
}

var goroutineLine = regexp.MustCompile(`(?m)^go_goroutines (\d+)`)

// goroutines is how many the api runs, without those of idle connections of this test's.
func (f *faulty) goroutines() int {
	f.t.Helper()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	res, err := http.Get("http://" + f.metrics + "/metrics")
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	scan := bufio.NewScanner(res.Body)
	for scan.Scan() {
		if m := goroutineLine.FindStringSubmatch(scan.Text()); m != nil {
			n, _ := strconv.Atoi(m[1])
			return n
		}
	}
	f.t.Fatalf("no goroutines in the metrics: %v", scan.Err())
	return 0
}

// fleet is a process of stock clients that stay.
type fleet struct {
	t    testing.TB
	errs *output

	mu     sync.Mutex
	topics map[int]bool                  // clients whose subscription stands
	told   map[int]map[string][]progress // by client and job
}

// startFleet starts clients: endpoint, transport, channel of each.
func startFleet(t testing.TB, args ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, errs: &output{}, topics: map[int]bool{}, told: map[int]map[string][]progress{}}
	cmd := exec.Command("node", append([]string{filepath.Join("testdata", "fleet.mjs")}, args...)...)
	cmd.Stderr = f.errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start node (is it installed, and has make web been run?): %v", err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		scan := bufio.NewScanner(out)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			f.take(scan.Bytes())
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the clients say: %s", f.errs)
		}
	})
	return f
}

func (f *fleet) take(text []byte) {
	var l struct {
		Client     int
		Event      *progress
		Subscribed string
		Refused    int
		Message    string
	}
	if err := json.Unmarshal(text, &l); err != nil {
		f.t.Errorf("a client says %s: %v", text, err)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case l.Event != nil:
		if f.told[l.Client] == nil {
			f.told[l.Client] = map[string][]progress{}
		}
		f.told[l.Client][l.Event.UUID] = append(f.told[l.Client][l.Event.UUID], *l.Event)
	case l.Subscribed != "":
		f.topics[l.Client] = true
	default:
		f.t.Errorf("client %d was refused: %d %s", l.Client, l.Refused, l.Message)
	}
}

// subscribed waits until so many clients are.
func (f *fleet) subscribed(n int) {
	f.t.Helper()
	testkit.Eventually(f.t, time.Minute, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.topics) == n
	}, "%d clients to be subscribed", n)
}

// of returns what a client was told of a job.
func (f *fleet) of(client int, uuid string) []progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]progress(nil), f.told[client][uuid]...)
}

// ended waits until every client has been told the end of a job, and fails when one was told another, or twice.
func (f *fleet) ended(uuid, state string) {
	f.t.Helper()
	for client := range f.topics {
		f.endedFor(client, uuid, state)
	}
}

func (f *fleet) endedFor(client int, uuid, state string) {
	f.t.Helper()
	deadline := time.Now().Add(90 * time.Second) // a poll that is being held, and the retry of a stock client after it
	for {
		problem := endsIn(f.of(client, uuid), state)
		if problem == "" {
			return
		}
		if problem != notTold || time.Now().After(deadline) {
			f.t.Errorf("client %d, job %s: %s", client, uuid, problem)
			return
		}
		waitBriefly()
	}
}

const notTold = "was not told the end"

// endsIn says what is wrong with the ends that somebody was told; a replayed one may repeat the first.
func endsIn(events []progress, state string) string {
	live, any := 0, false
	for _, e := range events {
		if !over(e) {
			if any && !e.Replayed {
				return fmt.Sprintf("was told %s after the end", e.Status)
			}
			continue
		}
		if any = true; e.Status != state {
			return fmt.Sprintf("was told %s, the job ended as %s", e.Status, state)
		}
		if !e.Replayed {
			live++
		}
	}
	switch {
	case !any:
		return notTold
	case live > 1:
		return fmt.Sprintf("was told the end %d times", live)
	}
	return ""
}

// pidOf is a process's id as it stands in leases.
func pidOf(p *process) string { return "/" + strconv.Itoa(p.cmd.Process.Pid) + "/" }
