package faults

import (
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

// TestFaultNoWorkerLeft: the only worker dies in the middle of a job. Once its lease is over, record
// and events say that the job waits, and of no time that is left: also before another process has
// given the job back, which is held up here. A worker that comes later does it.
func TestFaultNoWorkerLeft(t *testing.T) {
	t.Parallel()
	const rows = 20_000 // several pages of the list: the gate holds the last one
	f := startFaulty(t, rows)
	f.gates()
	f.followSteadily()
	worker := f.worker()
	open := f.shut("rows")
	uuid := f.held("writing_file")
	f.arrived("rows")
	testkit.Eventually(t, time.Minute, func() bool {
		s := f.shown(uuid)
		return s.Status == "writing_file" && s.Event.ETASeconds != nil
	}, "a time left in the record")

	// Nobody leads, so nobody gives the job back.
	f.exec("UPDATE leases SET owner = 'nobody', until = 9000000000000000 WHERE name = 'reconciler'")
	if j := f.job(uuid); !worker.holds(j) {
		t.Fatalf("the job is not in the hands of the worker that will be killed: %+v", j)
	}
	worker.Signal(syscall.SIGKILL)
	_ = worker.Ended(10 * time.Second)
	open()
	testkit.Eventually(t, length.lease+time.Minute, func() bool {
		return f.count("SELECT count(*) FROM jobs WHERE uuid = $1"+
			" AND lease_until < EXTRACT(EPOCH FROM statement_timestamp()) * 1000000", uuid) == 1
	}, "the lease to end")
	s := f.shown(uuid)
	if s.Status != "queued" || s.Why == "" || s.Event.ETASeconds != nil {
		t.Errorf("without a worker the record says %s, %q, %v seconds left; want queued, why, and no time", s.Status, s.Why, s.Event.ETASeconds)
	}
	if j := f.job(uuid); !worker.holds(j) || j.attempt != 1 {
		t.Fatalf("the job was given back meanwhile: %+v", j)
	}
	late := subscriber.Start(t, f.URL, f.person.channel, "websocket")
	late.Subscribed()
	if got := late.Until(time.Minute, func(subscriber.Event) bool { return true }); got[0].ETASeconds != nil {
		t.Errorf("a late subscriber is told of a time left: %s, %d s", got[0], *got[0].ETASeconds)
	}

	f.exec("UPDATE leases SET owner = '', until = 0 WHERE name = 'reconciler'")
	f.await(uuid, length.takeover, "to be given back", func(j faultJob) bool {
		return j.state == "queued" && j.attempt == 2 && j.takeovers == 1
	})
	for client := range 2 {
		testkit.Eventually(t, time.Minute, func() bool {
			events := f.fleet.Of(client, uuid)
			return len(events) > 0 && events[len(events)-1].Status == "queued" && events[len(events)-1].Attempt == 2
		}, "client %d to be told that the job waits", client)
	}
	if s := f.shown(uuid); s.Status != "queued" || s.Why == "" || s.Event.Status != "queued" || s.Event.Progress != 0 {
		t.Errorf("given back, the record says %+v", s)
	}
	f.worker()
	f.settled(success)
}
