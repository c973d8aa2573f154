package releases

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/testkit"
	"exporthub/test/program"
	"exporthub/test/subscriber"
)

// before is the release before this one: the first entry of docs/releases.md.
const before = "8bd09ee"

// rows make an export long enough to be met while it runs.
const rows = 30_000

// A deploy, and a deploy that is taken back: an api and a worker of one release accept and run
// jobs, then come a worker and an api of the other, with jobs queued and running. Whatever the
// first worker does in the middle of a job, none is lost and none is doubled.
func TestReleasesSideBySide(t *testing.T) {
	old, current := program.Release(t, before), program.Build(t)
	for name, c := range map[string]struct{ from, to string }{
		"deploy":   {from: old, to: current},
		"rollback": {from: current, to: old},
	} {
		for fate, transport := range map[string]string{"killed": "websocket", "stopped": "long-polling"} {
			t.Run(name+", the worker is "+fate, func(t *testing.T) {
				side := sideBySide{t: t, from: c.from, to: c.to, transport: transport, decided: map[int64]bool{}}
				side.run(fate == "killed")
			})
		}
	}
}

// A database that the release before has written, with jobs that ended, run and wait, on each of
// the three engines: this release takes all of them on.
func TestADatabaseOfTheReleaseBefore(t *testing.T) {
	old, current := program.Release(t, before), program.Build(t)
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		s := sideBySide{t: t, from: old, to: current, transport: "websocket", decided: map[int64]bool{}}
		s.start(dsn, rows)
		s.accept(3)
		worker := program.SpawnFrom(t, old, "worker", s.Environ)
		testkit.Eventually(t, time.Minute, func() bool {
			return s.Count("SELECT COUNT(*) FROM jobs WHERE state = 'success'") >= 1
		}, "a job that has ended")
		s.accept(3)
		held := s.holdRunning(worker)
		if s.Count("SELECT COUNT(*) FROM jobs WHERE state = 'queued'") == 0 {
			t.Error("no job waits")
		}
		worker.Signal(syscall.SIGKILL)
		_ = worker.Ended(10 * time.Second)

		// An api of this release brings the schema up to date before it serves.
		s.replaceAPI()
		program.SpawnFrom(t, current, "worker", s.Environ)
		s.check(held)
	})
}

// sideBySide is a system that goes from one release to another.
type sideBySide struct {
	*program.Parts
	t         testing.TB
	from, to  string // the folders of the programs
	token     string
	rows      int
	exports   []string
	channel   string
	transport string
	fleet     *subscriber.Fleet // one client, see start
	approvals int               // jobs
	decided   map[int64]bool    // invitations that a decision was asked for
}

func (s *sideBySide) run(kill bool) {
	s.start(dbtest.PostgresURL(s.t), rows)
	s.accept(4)
	first := program.SpawnFrom(s.t, s.from, "worker", s.Environ)
	held := s.holdRunning(first)

	second := program.SpawnFrom(s.t, s.to, "worker", s.Environ)
	if kill {
		first.Signal(syscall.SIGKILL)
		_ = first.Ended(10 * time.Second)
	}
	testkit.Eventually(s.t, 30*time.Second, func() bool {
		return s.Count("SELECT COUNT(*) FROM jobs WHERE takeovers > 0") >= held
	}, "the other release's worker to take %d jobs over", held)
	s.replaceAPI()
	s.accept(2)
	if !kill {
		first.Signal(syscall.SIGCONT) // a zombie of the other release: what it does must not count
	}
	s.check(held)
	second.Signal(syscall.SIGTERM)
	if err := second.Ended(40 * time.Second); err != nil {
		s.t.Errorf("the second worker ended with %v", err)
	}
}

// start starts an api of the first release on an empty database, and a client that stays. It is one
// and not two of the same person: the release before does not note which of them had an end, so
// that this one, which gives an end to a new session only when the person has not had it, could not
// tell a client that lost its api from a page that was opened now.
func (s *sideBySide) start(dsn string, rows int) {
	s.t.Helper()
	s.Parts = program.StartPartsFrom(s.t, s.from, dsn, rows,
		"EXPORT_QUEUE_LIMIT=50", "LEASE=2s", "LEADER_LEASE=1s", "WORKER_CONCURRENCY=2", "RETRY_DELAY=100ms")
	s.rows = rows
	s.token, s.channel = s.SignIn()
	s.fleet = subscriber.StartFleet(s.t, s.URL+"/faye", s.transport, s.channel)
	s.fleet.BesideTheReleaseBefore()
	s.fleet.Subscribed(1)
}

// accept queues exports, one decision about one invitation, and one about many.
func (s *sideBySide) accept(exports int) {
	s.t.Helper()
	for range exports {
		uuid, refusal, err := s.Ask(s.token, "export_format=xlsx")
		if err != nil || refusal != "" {
			s.t.Fatal(refusal, err)
		}
		s.exports = append(s.exports, uuid)
	}
	var page struct {
		Data struct{ Models []struct{ ID int64 } }
	}
	res := s.Do("GET", "/api/admin/invitations?approve_status=applying&per_page=1000", nil, "ACCESS-TOKEN", s.token)
	res.JSON(s.t, &page)
	var ids []int64
	for _, v := range page.Data.Models {
		// Those of a decision that no worker has applied yet are in the list, too.
		if !s.decided[v.ID] && len(ids) < 200 {
			ids = append(ids, v.ID)
			s.decided[v.ID] = true
		}
	}
	if len(ids) < 10 {
		s.t.Fatalf("only %d invitations await a decision", len(ids))
	}
	one := fmt.Sprintf("/api/admin/invitations/%d/approve", ids[0])
	for path, body := range map[string]any{
		one:                             map[string]any{},
		"/api/admin/invitations/reject": map[string]any{"ids": ids[1:]},
	} {
		if res := s.Do("PUT", path, body, "ACCESS-TOKEN", s.token); !strings.Contains(string(res.Body), `"code":0`) {
			s.t.Fatalf("PUT %s: %d %s", path, res.Status, res.Body)
		}
		s.approvals++
	}
}

// holdRunning stops the worker while it holds jobs, and returns how many. That proves that the
// fault meets running jobs: their rows say so, and stay so. It is not stopped within a transaction
// over the tables that migrations change: the server lets the short reads of the release before
// live for ten minutes, and the migration waits as long (pkg/database tests that it does).
func (s *sideBySide) holdRunning(worker *program.Process) int {
	s.t.Helper()
	const running = `SELECT COUNT(*) FROM jobs WHERE lease_owner <> '' AND state IN ('start', 'writing_file', 'before_upload')`
	const holding = `SELECT COUNT(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE a.datname = current_database() AND a.state LIKE 'idle in transaction%'
			AND l.relation IN ('exports'::regclass, 'jobs'::regclass)`
	for range 100 {
		testkit.Eventually(s.t, time.Minute, func() bool { return s.Count(running) > 0 }, "a running job")
		worker.Signal(syscall.SIGSTOP)
		// What the stopped process had sent before is in the rows now or never.
		held, within := s.Count(running), 0
		if strings.HasPrefix(s.DSN, "postgres") {
			within = s.Count(holding)
		}
		if held > 0 && within == 0 {
			return held
		}
		// They ended between the question and the signal, or it was in the middle of a read.
		worker.Signal(syscall.SIGCONT)
	}
	s.t.Fatal("the worker was never stopped with a running job")
	return 0
}

// replaceAPI ends the api and starts the other release's at its address.
func (s *sideBySide) replaceAPI() {
	s.t.Helper()
	s.API.Signal(syscall.SIGTERM)
	if err := s.API.Ended(40 * time.Second); err != nil {
		s.t.Fatalf("the api ended with %v\n%s", err, s.API.Logs)
	}
	s.API = program.SpawnFrom(s.t, s.to, "api", s.Environ)
	program.Ready(s.t, s.URL, s.API)
}

// check waits for every job and compares what there is with what was accepted.
func (s *sideBySide) check(held int) {
	s.t.Helper()
	files := map[string]bool{}
	for _, uuid := range s.exports {
		j := s.Finished(s.token, uuid)
		if j.Status != "success" || j.FileURL == nil || j.Count == nil || *j.Count != int64(s.rows) {
			s.t.Errorf("export %s: %+v", uuid, j)
			continue
		}
		if res := s.Do("GET", program.PathOf(s.t, *j.FileURL), nil); res.Status != 200 || int64(len(res.Body)) != *j.FileSize {
			s.t.Errorf("the file of %s: %d, %d bytes of %d", uuid, res.Status, len(res.Body), *j.FileSize)
		}
		files[*j.FileURL] = true
		s.fleet.Ended(uuid, j.Status)
	}
	if len(files) != len(s.exports) {
		s.t.Errorf("%d files of %d exports", len(files), len(s.exports))
	}
	testkit.Eventually(s.t, time.Minute, func() bool {
		return s.Count("SELECT COUNT(*) FROM jobs WHERE state NOT IN ('success', 'failure', 'cancelled')") == 0
	}, "every job to end")
	for what, c := range map[string]struct {
		query string
		want  int
	}{
		"jobs that succeeded":        {"SELECT COUNT(*) FROM jobs WHERE state = 'success'", len(s.exports) + s.approvals},
		"jobs in all":                {"SELECT COUNT(*) FROM jobs", len(s.exports) + s.approvals},
		"failures":                   {"SELECT COALESCE(SUM(failures), 0) FROM jobs", 0},
		"quota that is still active": {"SELECT SUM(active) FROM export_slots", 0},
		"daily quota used":           {"SELECT SUM(used) FROM export_days", len(s.exports)},
		"messages of ended exports":  {"SELECT COUNT(*) FROM messages WHERE plugin = 'export'", len(s.exports)},
	} {
		if got := s.Count(c.query); got != c.want {
			s.t.Errorf("%s: %d, want %d", what, got, c.want)
		}
	}
	if got := s.Count("SELECT SUM(takeovers) FROM jobs"); got < held {
		s.t.Errorf("%d takeovers of %d jobs that lost their worker", got, held)
	}
	s.Checked()
}
