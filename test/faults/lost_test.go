package faults

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"exporthub/pkg/testkit"
	"exporthub/test/subscriber"
)

// shown is what a page learns of a job by asking for its record.
type shown struct {
	Status string
	Why    string
	Event  subscriber.Event
}

func (f *faulty) shown(uuid string) (s shown) {
	f.T.Helper()
	f.Do("GET", "/api/exports/"+uuid, nil, "ACCESS-TOKEN", f.person.token).JSON(f.T, &s)
	return s
}

// stoppedWithTimeLeft stops the worker in the middle of an export whose record says how long it
// will take yet.
func (f *faulty) stoppedWithTimeLeft(worker *watched) (uuid string) {
	f.T.Helper()
	for range 20 {
		uuid = f.queueAs("xlsx")
		testkit.Eventually(f.T, time.Minute, func() bool {
			s := f.shown(uuid)
			return s.Event.ETASeconds != nil || subscriber.IsEnd(s.Status)
		}, "a time left in the record")
		f.stopOutsideTransactions(worker)
		if s := f.shown(uuid); s.Status == "writing_file" && s.Event.ETASeconds != nil {
			return uuid
		}
		worker.Signal(syscall.SIGCONT) // it was through before the signal came
		f.await(uuid, time.Minute, "to end", func(j faultJob) bool { return subscriber.IsEnd(j.state) })
	}
	f.T.Fatal("the worker was never stopped while it wrote rows")
	return ""
}

// TestFaultNoWorkerLeft: the only worker dies in the middle of a job. Once its lease is over,
// record and events say that the job waits, and of no time that is left: also before another
// process has given the job back, which is held up here. A worker that comes later does it.
func TestFaultNoWorkerLeft(t *testing.T) {
	t.Parallel()
	f := startFaulty(t, 60_000)
	f.followSteadily()
	worker := f.worker()
	uuid := f.stoppedWithTimeLeft(worker)

	// Nobody leads, so nobody gives the job back.
	f.exec("UPDATE leases SET owner = 'nobody', until = 9000000000000000 WHERE name = 'reconciler'")
	if j := f.job(uuid); !worker.holds(j) {
		t.Fatalf("the job is not in the hands of the worker that will be killed: %+v", j)
	}
	worker.Signal(syscall.SIGKILL)
	_ = worker.Ended(10 * time.Second)
	testkit.Eventually(t, length.lease+time.Minute, func() bool {
		return f.count("SELECT count(*) FROM jobs WHERE uuid = $1"+
			" AND lease_until < EXTRACT(EPOCH FROM statement_timestamp()) * 1000000", uuid) == 1
	}, "the lease to end")
	s := f.shown(uuid)
	if s.Status != "queued" || s.Why == "" || s.Event.ETASeconds != nil {
		t.Errorf("without a worker the record says %s, %q, %v seconds left; want queued, why, and no time", s.Status, s.Why, s.Event.ETASeconds)
	}
	testkit.Eventually(t, time.Minute, func() bool {
		return strings.Contains(f.shown(uuid).Why, "没有运行中的执行进程")
	}, "the record to say that there is no worker")
	if j := f.job(uuid); !worker.holds(j) || j.attempt != 1 {
		t.Fatalf("the job was given back meanwhile: %+v", j)
	}
	late := subscriber.Start(t, f.URL, f.person.channel, "websocket")
	if got := late.Until(time.Minute, func(subscriber.Event) bool { return true }); got[0].ETASeconds != nil {
		t.Errorf("a late subscriber receives a time left: %s, %d s", got[0], *got[0].ETASeconds)
	}

	f.exec("UPDATE leases SET owner = '', until = 0 WHERE name = 'reconciler'")
	f.await(uuid, length.takeover, "to be given back", func(j faultJob) bool {
		return j.state == "queued" && j.attempt == 2 && j.takeovers == 1
	})
	for client := range 2 {
		testkit.Eventually(t, time.Minute, func() bool {
			events := f.fleet.Of(client, uuid)
			return len(events) > 0 && events[len(events)-1].Status == "queued" && events[len(events)-1].Attempt == 2
		}, "client %d to receive that the job waits", client)
	}
	if s := f.shown(uuid); s.Status != "queued" || s.Why == "" || s.Event.Status != "queued" || s.Event.Progress != 0 {
		t.Errorf("given back, the record says %+v", s)
	}
	f.worker()
	f.settled(success)
}
