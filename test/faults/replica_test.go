package faults

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"exporthub/pkg/testkit"
	"exporthub/test/program"
	"exporthub/test/subscriber"
)

// TestFaultReplicaKilled: one of two API replicas dies by kill -9 with the sockets of stock clients
// open while their exports run. The clients come back on the other replica by themselves, keep
// their subscriptions and receive every end; requests are answered meanwhile. Then it is back, and
// the other one dies.
func TestFaultReplicaKilled(t *testing.T) {
	t.Parallel()
	f := startFaulty(t, 3000)
	f.gates()
	addresses := []string{strings.TrimPrefix(f.URL, "http://"), program.FreeAddress(t)}
	replicas := []*watched{f.api, f.replica(addresses[1])}
	// Half of the clients begin on either replica, and move to the one that takes their
	// connections.
	doors := []*door{newDoor(t, addresses[0], addresses[1]), newDoor(t, addresses[1], addresses[0])}
	var clients []string
	for _, d := range doors {
		for _, transport := range []string{"websocket", "long-polling"} {
			clients = append(clients, d.url()+"/faye", transport, f.person.channel)
		}
	}
	f.fleet = subscriber.StartFleet(t, clients...)
	f.fleet.Subscribed(4)
	f.worker()

	for victim := range replicas {
		if replicas[victim].Gone() {
			t.Fatalf("replica %d has ended: %s", victim+1, replicas[victim].Logs)
		}
		sockets, sessions := f.metric(replicas[victim], "exporthub_faye_sockets"), f.metric(replicas[victim], "exporthub_faye_sessions")
		if sockets < 1 || sessions < 2 {
			t.Fatalf("replica %d has %v sockets and %v sessions: its end would show nothing", victim+1, sockets, sessions)
		}
		f.URL = "http://" + addresses[victim]
		open := f.shut("rows")
		// The last was accepted by the victim, just before its end.
		running := []string{f.held("writing_file"), f.queue()}
		replicas[victim].Signal(syscall.SIGKILL)
		_ = replicas[victim].Ended(10 * time.Second)
		killed := time.Now()
		open()
		f.URL = doors[victim].url()
		running = append(running, f.queue())
		for _, uuid := range running {
			f.fleet.Ended(uuid, "success")
		}
		t.Logf("replica %d killed with %v sockets: every client knew the ends after %s", victim+1, sockets, time.Since(killed).Round(10*time.Millisecond))
		f.followsLive()
		f.holds(length.outage-time.Since(killed), 200)
		replicas[victim] = f.replica(addresses[victim])
	}
	f.settled(success)
	for _, uuid := range f.jobs {
		if j := f.job(uuid); j.attempt != 1 {
			t.Errorf("job %s took %d attempts: a replica is no reason to begin again", uuid, j.attempt)
		}
	}
}

// followsLive checks that the subscriptions of all clients stand: an export asked for now is
// published to each as it happens.
func (f *faulty) followsLive() {
	f.T.Helper()
	uuid := f.queue()
	f.fleet.Ended(uuid, "success")
	for _, client := range f.fleet.Clients() {
		events := f.fleet.Of(client, uuid)
		if len(events) < 3 || events[len(events)-1].Replayed {
			f.T.Errorf("client %d received of a new export %+v", client, events)
		}
	}
}

// TestFaultReplicaEnds: a replica that ends by SIGTERM, as in a deploy, is not missed either.
func TestFaultReplicaEnds(t *testing.T) {
	t.Parallel()
	f := startFaulty(t, 3000)
	f.gates()
	address, other := strings.TrimPrefix(f.URL, "http://"), program.FreeAddress(t)
	f.replica(other)
	d := newDoor(t, address, other)
	f.fleet = subscriber.StartFleet(t, d.url()+"/faye", "websocket", f.person.channel, d.url()+"/faye", "long-polling", f.person.channel)
	f.fleet.Subscribed(2)
	f.worker()
	open := f.shut("rows")
	f.held("writing_file")
	sockets, sessions := f.metric(f.api, "exporthub_faye_sockets"), f.metric(f.api, "exporthub_faye_sessions")
	if sockets < 1 || sessions < 2 {
		t.Fatalf("the replica has %v sockets and %v sessions: its end would show nothing", sockets, sessions)
	}
	asked := time.Now()
	f.api.Signal(syscall.SIGTERM)
	if err := f.api.Ended(35 * time.Second); err != nil {
		t.Errorf("the replica ended with %v", err)
	}
	t.Logf("the replica ended within %s", time.Since(asked).Round(10*time.Millisecond))
	open()
	f.URL = d.url()
	testkit.Eventually(t, time.Minute, func() bool {
		return f.Do("GET", "/api/admin/invitations?per_page=1", nil, "ACCESS-TOKEN", f.person.token).Status == 200
	}, "the other replica to answer")
	f.ended(success)
	f.followsLive()
	f.settled(success)
}
