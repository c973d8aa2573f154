package faults

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"exporthub/pkg/testkit"
	"exporthub/test/program"
	"exporthub/test/subscriber"
)

// TestFaultWorkerKilledInAnyStage: kill -9 between every two states, and between the pop of the
// task and the first. Another worker has the job again in time, subscribers see it, and it
// ends once with one file and one use of the daily quota.
func TestFaultWorkerKilledInAnyStage(t *testing.T) {
	t.Parallel()
	const rows = 45_000 // over 4 MB as CSV, so that uploading is published
	f := startFaulty(t, rows)
	f.gates()
	f.followSteadily()
	worker := f.worker()
	for _, c := range []struct {
		state, gate string
		quick       bool // also in the scaled-down run
	}{
		{"queued", "queued>starting", false},
		{"starting", "starting>start", true},
		{"start", "start>writing_file", false},
		{"writing_file", "rows", true},
		{"writing_file", "writing_file>before_upload", false},
		{"before_upload", "before_upload>uploading", false},
		{"uploading", "uploading>success", true}, // the file is stored, the row does not say so
	} {
		if !c.quick && length.scaled {
			continue
		}
		open := f.shut(c.gate)
		uuid := f.queue()
		j := f.await(uuid, time.Minute, "to wait at "+c.gate, func(j faultJob) bool { return j.state == c.state && f.waiting(c.gate) > 0 })
		if c.state != "queued" && !worker.holds(j) {
			t.Fatalf("at %s the job is not in the hands of the worker that will be killed: %+v", c.gate, j)
		}
		next := f.start("worker", f.environ) // no waiting: the lease goes on
		killed := time.Now()
		worker.Signal(syscall.SIGKILL)
		_ = worker.Ended(10 * time.Second)
		open()
		bound := length.takeover
		f.await(uuid, bound+20*time.Second, "to be taken over", func(j faultJob) bool {
			return j.owner != "" && strings.Contains(j.owner, pidOf(next)) || j.state == "success"
		})
		if took := time.Since(killed); took > bound {
			t.Errorf("killed in %s (%s): taken over after %s, want within %s", c.state, c.gate, took, bound)
		} else {
			t.Logf("killed in %s (%s): taken over after %s", c.state, c.gate, took.Round(10*time.Millisecond))
		}
		j = f.await(uuid, time.Minute, "to succeed", func(j faultJob) bool { return j.state == "success" })
		lost := 1 // attempts
		if c.state == "queued" {
			lost = 0
		}
		if j.attempt != 1+lost || j.takeovers != lost {
			t.Errorf("killed in %s (%s): attempt %d after %d takeovers, want %d after %d",
				c.state, c.gate, j.attempt, j.takeovers, 1+lost, lost)
		}
		worker = next
	}
	f.settled(success)
	for client := range 2 {
		for i, uuid := range f.jobs {
			last := 0
			for _, e := range f.fleet.Of(client, uuid) {
				if last = e.Attempt; e.Status == "failure" {
					t.Errorf("client %d received a failure of job %d", client, i)
				}
			}
			if want := f.job(uuid).attempt; last != want {
				t.Errorf("client %d saw attempt %d of job %d last, want %d", client, last, i, want)
			}
		}
	}
	if got := f.count("SELECT used FROM export_days"); got != len(f.jobs) {
		t.Errorf("the daily quota counts %d, want one for each of %d jobs", got, len(f.jobs))
	}
	res := f.Do("GET", "/api/exports/"+f.jobs[len(f.jobs)-1], nil, "ACCESS-TOKEN", f.person.token)
	var j program.ExportJob
	res.JSON(t, &j)
	if file := f.Do("GET", program.PathOf(t, *j.FileURL), nil); file.Status != 200 || strings.Count(string(file.Body), "\n") < rows {
		t.Errorf("the file: %d, %d lines", file.Status, strings.Count(string(file.Body), "\n"))
	}
}

func (f *faulty) count(query string, args ...any) (n int) {
	f.T.Helper()
	if err := f.sql.QueryRowContext(f.T.Context(), query, args...).Scan(&n); err != nil {
		f.T.Fatal(err)
	}
	return n
}

// TestFaultZombie: a worker stopped past its lease and then continued changes, publishes and
// overwrites nothing.
func TestFaultZombie(t *testing.T) {
	t.Parallel()
	f := startFaulty(t, 3000)
	f.gates()
	f.followSteadily()
	a := f.worker()
	open := f.shut("rows")
	uuid := f.held("writing_file")
	f.arrived("rows")
	b := f.worker()
	f.stopOutsideTransactions(a)
	stopped := time.Now()
	open()
	j := f.await(uuid, length.takeover+time.Minute, "to succeed", func(j faultJob) bool { return j.state == "success" })
	t.Logf("taken over and done %s after the stop", time.Since(stopped).Round(10*time.Millisecond))
	if j.attempt != 2 || j.takeovers != 1 {
		t.Fatalf("attempt %d after %d takeovers, want the second after one", j.attempt, j.takeovers)
	}
	f.ended(success)
	f.clean()
	before, object := f.job(uuid), f.object(uuid)
	received := f.fleet.Of(0, uuid)

	a.Signal(syscall.SIGCONT)
	testkit.Eventually(t, time.Minute, func() bool {
		return strings.Contains(a.Logs.String(), "attempt lost") || strings.Contains(a.Logs.String(), "end of attempt not written")
	}, "the zombie to see that it lost the job")
	// It serves again: the next job may be its own, the last one is not.
	b.Signal(syscall.SIGTERM)
	if err := b.Ended(35 * time.Second); err != nil {
		t.Errorf("the worker ended with %v", err)
	}
	f.await(f.queue(), time.Minute, "to succeed", func(j faultJob) bool { return j.state == "success" })
	f.settled(success)
	if after := f.job(uuid); after != before {
		t.Errorf("the row was %+v, the zombie made it %+v", before, after)
	}
	if after := f.object(uuid); after != object {
		t.Errorf("the file was %+v, the zombie made it %+v", object, after)
	}
	for _, e := range f.fleet.Of(0, uuid)[len(received):] {
		if !e.Replayed {
			t.Errorf("the zombie published %+v", e)
		}
	}
}

// stopOutsideTransactions stops a worker where it holds no lock: one stopped while it renews its
// lease keeps the row until the database cuts it off.
func (f *faulty) stopOutsideTransactions(p *watched) {
	f.T.Helper()
	testkit.Eventually(f.T, time.Minute, func() bool {
		p.Signal(syscall.SIGSTOP)
		free := f.count(`SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
			WHERE c.oid = 'jobs'::regclass AND l.mode = 'RowExclusiveLock'`) == 0
		if !free {
			p.Signal(syscall.SIGCONT)
		}
		return free
	}, "a worker without locks to stop")
}

// object is a job's stored file: its name, size and time of writing.
func (f *faulty) object(uuid string) string {
	f.T.Helper()
	found, err := filepath.Glob(filepath.Join(f.files, "export", "*_"+uuid+".*"))
	if err != nil || len(found) != 1 {
		f.T.Fatalf("files of job %s: %v %v", uuid, found, err)
	}
	stat, err := os.Stat(found[0])
	if err != nil {
		f.T.Fatal(err)
	}
	return found[0] + stat.ModTime().String() + " " + time.Duration(stat.Size()).String()
}

// TestFaultDeploy: workers ended by SIGTERM release their jobs within the bound, and no
// subscriber receives a failure.
func TestFaultDeploy(t *testing.T) {
	t.Parallel()
	f := startFaulty(t, 3000)
	f.gates()
	f.followSteadily()
	a := f.worker()
	open := f.shut("rows")
	uuid := f.held("writing_file")
	f.arrived("rows")
	if j := f.job(uuid); !a.holds(j) {
		t.Fatalf("the job is not in the hands of the worker that will end: %+v", j)
	}
	a.Signal(syscall.SIGTERM)
	if err := a.Ended(30 * time.Second); err != nil {
		t.Errorf("the worker ended with %v", err)
	}
	if j := f.job(uuid); j.state != "queued" || j.attempt != 2 || j.failure != "" {
		t.Errorf("after the worker's end: %+v, want it queued again without a failure", j)
	}
	open()
	f.worker()
	f.settled(success)
	for client := range 2 {
		for _, e := range f.fleet.Of(client, uuid) {
			if e.Status == "failure" || e.Status == "upload_failure" {
				t.Errorf("client %d received %s", client, e.Status)
			}
		}
	}
}

// TestFaultCancel: a running export is cancelled from the API process, with nothing between it and
// the worker but the row.
func TestFaultCancel(t *testing.T) {
	t.Parallel()
	f := startFaulty(t, 45_000)
	f.gates()
	f.followSteadily()
	worker := f.worker()
	states := map[string]string{}
	for _, gate := range []string{"rows", "before_upload>uploading"} {
		testkit.Eventually(t, time.Minute, func() bool { return f.waiting("rows") == 0 }, "the export before to have let go")
		open := f.shut(gate)
		uuid := f.queue()
		f.arrived(gate)
		asked := time.Now()
		if gate != "rows" {
			open() // while a transition is being written the row can't be changed
		}
		res := f.Do("DELETE", "/api/exports/"+uuid, nil, "ACCESS-TOKEN", f.person.token)
		if res.Status != 202 && res.Status != 409 {
			t.Fatalf("%d %s", res.Status, res.Body)
		}
		j := f.await(uuid, time.Minute, "to end", func(j faultJob) bool { return subscriber.Over(subscriber.Event{Status: j.state}) })
		if took := time.Since(asked); took > 2*time.Second && gate == "rows" {
			t.Errorf("ended %s after it was asked for, want within 2 s", took)
		}
		if res.Status == 202 && j.state != "cancelled" {
			t.Errorf("accepted, and ended as %s", j.state)
		}
		states[uuid] = j.state
		open()
	}
	// One that waits: no worker is there to take it.
	worker.Signal(syscall.SIGTERM)
	if err := worker.Ended(30 * time.Second); err != nil {
		t.Errorf("the worker ended with %v", err)
	}
	waiting := f.queue()
	f.Do("DELETE", "/api/exports/"+waiting, nil, "ACCESS-TOKEN", f.person.token)
	if j := f.job(waiting); j.state != "cancelled" {
		t.Errorf("cancelled while it waited: %+v", j)
	}
	states[waiting] = "cancelled"
	f.settled(func(uuid string) string { return states[uuid] })
}
