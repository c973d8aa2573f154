package faults

import (
	"context"
	"database/sql"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/storage/qiniu/fake"
	"exporthub/pkg/testkit"
	"exporthub/test/program"
	"exporthub/test/subscriber"
)

// lengths are the times of the faults' tests.
type lengths struct {
	scaled   bool
	lease    time.Duration
	takeover time.Duration // from a worker's death until another has its job
	outage   time.Duration // of Redis and of the database
	stall    time.Duration // of Redis
}

// requeued is how soon after Redis is back every waiting job has a task in it again.
const requeued = 5 * time.Second

// faulty is the system as separate processes on a Redis of its own and a PostgreSQL behind a proxy,
// with a hand on its gates.
type faulty struct {
	*program.App
	environ []string
	dsn     string // past the proxy
	proxy   *testkit.TCPProxy
	redis   *testkit.RedisServer
	api     *watched
	db      *database.DB
	sql     *sql.DB
	people  *auth.Service
	files   string
	spool   string
	kodo    *fake.Running // nil while files are kept on disk
	fleet   *subscriber.Fleet
	person  faultPerson
	jobs    []string // accepted

	programs   []*watched
	goroutines map[string]int // of an idle program, by its name
}

type faultPerson struct {
	id             int64
	token, channel string
}

// startFaulty starts an api; workers are the test's to start. Variables in more win.
func startFaulty(t testing.TB, rows int, more ...string) *faulty {
	t.Helper()
	f := &faulty{dsn: dbtest.PostgresURL(t), redis: testkit.OwnRedis(t), goroutines: map[string]int{}}
	f.proxy = testkit.Proxy(t, f.dsn)
	address, shared := program.FreeAddress(t), t.TempDir()
	f.App = &program.App{T: t, URL: "http://" + address}
	f.files, f.spool = filepath.Join(shared, "files"), filepath.Join(shared, "spool")
	f.environ = append([]string{
		"APP_ENV=test", "HTTP_ADDR=" + address, "PUBLIC_URL=" + f.URL, "DATABASE_URL=" + f.proxy.URL(f.dsn), "REDIS_URL=" + f.redis.URL(),
		"AUTH_SECRET=" + program.Secret, "STORAGE_DIR=" + f.files, "SPOOL_DIR=" + f.spool, "PATH=/usr/bin:/bin",
		"LEASE=" + length.lease.String(), "EXPORT_QUEUE_LIMIT=20", "EXPORT_RATE=0", "RETRY_DELAY=200ms", "UPLOAD_RETRY_DELAY=200ms",
		"CLEANUP_EVERY=500ms", "CLEANUP_GRACE=2s", "DRAIN_TIMEOUT=1s",
	}, more...)
	f.api = f.replica(address)
	var err error
	if f.db, err = database.Open(t.Context(), f.dsn, database.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.db.Close() })
	if f.sql, err = sql.Open("pgx", f.dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.sql.Close() })
	if f.people, err = auth.New(auth.Options{DB: f.db, Secret: program.Secret, Env: "test"}); err != nil {
		t.Fatal(err)
	}
	program.Seed(t, f.db, rows)
	f.person = f.newPerson("13800000031")
	return f
}

// replica starts an api at an address and waits until it is ready.
func (f *faulty) replica(address string) *watched {
	f.T.Helper()
	environ := append(f.environ[:len(f.environ):len(f.environ)], "HTTP_ADDR="+address)
	return f.watch("api", environ, func(p *program.Process) { program.Ready(f.T, "http://"+address, p) })
}

// worker starts a worker and waits until it runs, which its log tells.
func (f *faulty) worker() *watched {
	f.T.Helper()
	environ := append(f.environ[:len(f.environ):len(f.environ)], "LOG_LEVEL=info")
	return f.watch("worker", environ, func(p *program.Process) {
		testkit.Eventually(f.T, time.Minute, func() bool { return strings.Contains(p.Logs.String(), `"worker started"`) }, "the worker to start")
	})
}

func (f *faulty) newPerson(phone string) faultPerson {
	f.T.Helper()
	id, err := f.people.EnsurePerson(f.T.Context(), auth.Person{Account: phone, Phone: phone, Name: phone, Role: auth.Staff}, "")
	if err != nil {
		f.T.Fatal(err)
	}
	p, err := f.people.Person(f.T.Context(), id)
	if err != nil {
		f.T.Fatal(err)
	}
	token, err := f.people.Renew(p)
	if err != nil {
		f.T.Fatal(err)
	}
	return faultPerson{id, token.Value, f.people.ExportChannel(p)}
}

// exec changes the database past the proxy.
func (f *faulty) exec(query string, args ...any) {
	f.T.Helper()
	if _, err := f.sql.ExecContext(f.T.Context(), query, args...); err != nil {
		f.T.Fatal(err)
	}
}

// gates lets tests hold a worker between two states, or while it reads rows: the database keeps it
// waiting. A gate is an advisory lock, which is the whole database's, and this test has only a
// schema of one: the gate's name has the schema's in it, or tests that run side by side would hold
// each other's workers.
func (f *faulty) gates() {
	f.T.Helper()
	f.exec(`CREATE FUNCTION fault_gate(name text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
		DECLARE
			gate int := hashtext(current_schema() || ' gate ' || name);
			arrived int := hashtext(current_schema() || ' waits at ' || name);
		BEGIN
			IF current_query() ILIKE '%count(*)%' THEN RETURN true; END IF;
			IF NOT pg_try_advisory_lock_shared(gate) THEN
				PERFORM pg_advisory_lock_shared(arrived);
				WHILE NOT pg_try_advisory_lock_shared(gate) LOOP PERFORM pg_sleep(0.02); END LOOP;
				PERFORM pg_advisory_unlock_shared(arrived);
			END IF;
			PERFORM pg_advisory_unlock_shared(gate);
			RETURN true;
		END $$`)
	f.exec(`CREATE FUNCTION fault_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM fault_gate(OLD.state || '>' || NEW.state); RETURN NEW; END $$`)
	f.exec(`CREATE TRIGGER fault_step BEFORE UPDATE ON jobs FOR EACH ROW
		WHEN (OLD.state <> NEW.state AND OLD.attempt = 1 AND NEW.attempt = 1) EXECUTE FUNCTION fault_step()`)
	f.exec(`ALTER TABLE invitations RENAME TO invitations_all`)
	f.exec(`CREATE VIEW invitations AS SELECT * FROM invitations_all i WHERE CASE WHEN i.id = 1 THEN fault_gate('rows') ELSE true END`)
}

// shut closes a gate until open is called.
func (f *faulty) shut(gate string) (open func()) {
	f.T.Helper()
	conn, err := f.sql.Conn(f.T.Context())
	if err != nil {
		f.T.Fatal(err)
	}
	const key = "(hashtext(current_schema() || ' gate ' || $1))"
	if _, err := conn.ExecContext(f.T.Context(), "SELECT pg_advisory_lock"+key, gate); err != nil {
		f.T.Fatal(err)
	}
	var once sync.Once
	open = func() {
		once.Do(func() {
			// The session may be needed for other gates: let go by name, then give it back.
			_, _ = conn.ExecContext(context.Background(), "SELECT pg_advisory_unlock"+key, gate)
			_ = conn.Close()
		})
	}
	f.T.Cleanup(open)
	return open
}

// waiting tells how many sessions wait at a gate of this test.
func (f *faulty) waiting(gate string) int {
	f.T.Helper()
	return f.count(`SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND ((classid::bigint << 32) | objid::bigint) = hashtext(current_schema() || ' waits at ' || $1)::bigint`, gate)
}

// arrived waits until a worker waits at a gate.
func (f *faulty) arrived(gate string) {
	f.T.Helper()
	testkit.Eventually(f.T, time.Minute, func() bool { return f.waiting(gate) > 0 }, "a worker to wait at %s", gate)
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
	f.T.Helper()
	err := f.sql.QueryRowContext(f.T.Context(), "SELECT state, attempt, takeovers, step, lease_owner, failure, updated_at FROM jobs WHERE uuid = $1", uuid).
		Scan(&j.state, &j.attempt, &j.takeovers, &j.step, &j.owner, &j.failure, &j.updated)
	if err != nil {
		f.T.Fatal(err)
	}
	return j
}

// await waits until a job's row is as cond says.
func (f *faulty) await(uuid string, within time.Duration, what string, cond func(faultJob) bool) faultJob {
	f.T.Helper()
	var j faultJob
	testkit.Eventually(f.T, within, func() bool {
		j = f.job(uuid)
		return cond(j)
	}, "job %s: %s", uuid, what)
	return j
}

// queue asks for an export of every invitation, as CSV.
func (f *faulty) queue(more ...string) string {
	f.T.Helper()
	return f.queueAs("csv", more...)
}

func (f *faulty) queueAs(format string, more ...string) string {
	f.T.Helper()
	res := f.Do("GET", "/api/admin/invitations?export_format="+format+strings.Join(more, ""), nil, "ACCESS-TOKEN", f.person.token)
	var body struct {
		Code int
		Data struct{ UUID string }
	}
	res.JSON(f.T, &body)
	if res.Status != 200 || body.Code != 0 {
		f.T.Fatalf("not accepted: %d %s", res.Status, res.Body)
	}
	f.jobs = append(f.jobs, body.Data.UUID)
	return body.Data.UUID
}

// held queues an export and waits until it has come to a gate.
func (f *faulty) held(state string) string {
	f.T.Helper()
	uuid := f.queue()
	f.await(uuid, time.Minute, "to be in "+state, func(j faultJob) bool { return j.state == state && j.attempt == 1 })
	return uuid
}

// followSteadily is follow where the fault reaches neither the clients nor what brings them events:
// then nothing may be sent to them twice.
func (f *faulty) followSteadily() {
	f.T.Helper()
	f.follow()
	f.fleet.Steady()
}

// follow starts stock clients on the person's channel, one by websocket and one by polling.
func (f *faulty) follow() {
	f.T.Helper()
	f.fleet = subscriber.StartFleet(f.T, f.URL+"/faye", "websocket", f.person.channel, f.URL+"/faye", "long-polling", f.person.channel)
	f.fleet.Subscribed(2)
}

// holds reports whether a job is in the hands of a worker.
func (w *watched) holds(j faultJob) bool {
	return !subscriber.IsEnd(j.state) && j.state != "queued" && strings.Contains(j.owner, pidOf(w))
}

// pidOf is a process's id as leases name it.
func pidOf(p *watched) string { return "/" + strconv.Itoa(p.Cmd.Process.Pid) + "/" }
