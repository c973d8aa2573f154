package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/testkit"
)

// fleet is a process of stock clients that stay.
type fleet struct {
	t     testing.TB
	errs  *output
	leave func() // ends the clients; what they were told stays

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
	f.leave = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait()
	})
	t.Cleanup(func() {
		f.leave()
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
