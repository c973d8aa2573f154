package faults

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"exporthub/pkg/storage/qiniu/fake"
	"exporthub/pkg/testkit"
	"exporthub/test/program"
)

// TestFaultKilledWhileUploading: a worker dies, or is thought dead and comes back, in the middle of
// an upload in parts, which Qiniu does not list. Another worker has the job and stores its file,
// and what the first one sent is removed.
func TestFaultKilledWhileUploading(t *testing.T) {
	t.Parallel()
	const rows = 60_000 // two parts, as CSV
	k, environ := program.StartKodo(t)
	f := startFaulty(t, rows, environ...)
	f.kodo = k
	f.followSteadily()
	worker := f.worker()
	for _, c := range []struct {
		name   string
		fault  fake.Fault
		parts  int // that had arrived by then
		zombie bool
	}{
		{"while rows are still written", fake.Fault{Op: fake.OpPart, Part: 1}, 0, false},
		{"in the middle of a part", fake.Fault{Op: fake.OpPart, Part: 2}, 1, false},
		{"before the end", fake.Fault{Op: fake.OpComplete}, 2, false},
		{"stopped in the middle of a part", fake.Fault{Op: fake.OpPart, Part: 2}, 1, true},
	} {
		c.fault.Kind = fake.Stall
		if err := k.Fail(c.fault); err != nil {
			t.Fatal(err)
		}
		stalled := k.Stalled()
		uuid := f.queue()
		testkit.Eventually(t, time.Minute, func() bool {
			uploads := k.Uploads()
			return k.Stalled() > stalled && len(uploads) == 1 && len(uploads[0].Parts) >= c.parts
		}, "%s: the upload to stand still", c.name)
		if j := f.job(uuid); !worker.holds(j) {
			t.Fatalf("%s: the job is not in the hands of the worker that will be lost: %+v", c.name, j)
		}
		next := f.start("worker", f.environ)
		faulted := time.Now()
		if c.zombie {
			f.stopOutsideTransactions(worker)
		} else {
			worker.Signal(syscall.SIGKILL)
			_ = worker.Ended(10 * time.Second)
		}
		k.Heal()
		j := f.await(uuid, length.takeover+time.Minute, "to succeed", func(j faultJob) bool { return j.state == "success" })
		if j.attempt != 2 || j.takeovers != 1 {
			t.Errorf("%s: attempt %d after %d takeovers, want the second after one", c.name, j.attempt, j.takeovers)
		}
		testkit.Eventually(t, time.Minute, func() bool { return len(k.Uploads()) == 0 }, "%s: the first attempt's upload to be aborted", c.name)
		t.Logf("%s: done again and cleaned up %s after it", c.name, time.Since(faulted).Round(10*time.Millisecond))
		if c.zombie {
			worker.Signal(syscall.SIGCONT)
			testkit.Eventually(t, time.Minute, func() bool {
				_, lost := f.figure(worker, `exporthub_job_attempts_total{kind="export",outcome="lost"}`)
				return lost
			}, "the zombie to see that it lost the job")
		}
		worker = next
	}
	f.settled(success)
	res := f.Do("GET", "/api/exports/"+f.jobs[0], nil, "ACCESS-TOKEN", f.person.token)
	var j program.ExportJob
	res.JSON(t, &j)
	link := f.Do("GET", program.PathOf(t, *j.FileURL), nil).Header.Get("Location")
	file := (&program.App{T: t, URL: k.URL}).Do("GET", program.PathOf(t, link), nil)
	if lines := strings.Count(string(file.Body), "\r\n"); file.Status != http.StatusOK || lines != rows+1 {
		t.Errorf("the file: %d with %d lines, want %d", file.Status, lines, rows+1)
	}
}
