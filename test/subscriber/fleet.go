package subscriber

import (
	"bufio"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/testkit"
	"exporthub/test/program"
)

// endLimit is how long a client may take to receive an end: a poll that is being held (45 s), and
// the retry of a stock client after it.
const endLimit = 90 * time.Second

// Fleet is a process of stock clients that stay.
type Fleet struct {
	Leave func() // ends the clients; what they received stays

	t    testing.TB
	errs *program.Output

	mu       sync.Mutex
	clients  map[int]bool               // those whose subscription is confirmed
	received map[int]map[string][]Event // by client and job
	stories  map[int]*Story
	sessions map[int]int // how many each client has had
	steady   bool
	older    bool
}

// StartFleet starts clients: endpoint, transport and channel of each.
func StartFleet(t testing.TB, args ...string) *Fleet {
	t.Helper()
	f := &Fleet{
		t:        t,
		errs:     &program.Output{},
		clients:  map[int]bool{},
		received: map[int]map[string][]Event{},
		stories:  map[int]*Story{},
		sessions: map[int]int{},
	}
	cmd, out := node(t, f.errs, "fleet.mjs", args)
	read := make(chan struct{})
	go func() {
		defer close(read)
		scan := bufio.NewScanner(out)
		scan.Buffer(nil, maxLine)
		for scan.Scan() {
			f.take(scan.Bytes())
		}
	}()
	f.Leave = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-read // before Wait, which closes the pipe under the reader
		_ = cmd.Wait()
	})
	t.Cleanup(func() {
		f.Leave()
		if t.Failed() {
			t.Logf("the clients say: %s", f.errs)
		}
	})
	return f
}

// take keeps one line of the process's output. It is called by the reader's goroutine alone.
func (f *Fleet) take(text []byte) {
	var l struct {
		Client     int
		Event      *Event
		Subscribed string
		Session    string
		Refused    int
		Message    string
	}
	// Errorf may be called from this goroutine, Fatalf may not.
	if err := json.Unmarshal(text, &l); err != nil {
		f.t.Errorf("a client says %s: %v", text, err)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	story := f.stories[l.Client]
	if story == nil {
		story = &Story{Steady: f.steady, Older: f.older}
		f.stories[l.Client] = story
	}
	switch {
	case l.Session != "":
		f.sessions[l.Client]++
		story.Handshake()
	case l.Event != nil:
		if err := story.Take(*l.Event); err != nil {
			f.t.Errorf("client %d in its session %d received what it may not: %v", l.Client, f.sessions[l.Client], err)
		}
		if f.received[l.Client] == nil {
			f.received[l.Client] = map[string][]Event{}
		}
		f.received[l.Client][l.Event.UUID] = append(f.received[l.Client][l.Event.UUID], *l.Event)
	case l.Subscribed != "":
		f.clients[l.Client] = true
	default:
		f.t.Errorf("client %d was refused: %d %s", l.Client, l.Refused, l.Message)
	}
}

// Steady says that no test cuts these clients off from their server or the server from Redis, so
// that nothing has to be sent again. It comes before the first event.
func (f *Fleet) Steady() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steady = true
	for _, s := range f.stories {
		s.Steady = true
	}
}

// BesideTheReleaseBefore says that events come from processes of the release before, too. It comes
// before the first event.
func (f *Fleet) BesideTheReleaseBefore() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.older = true
	for _, s := range f.stories {
		s.Older = true
	}
}

// Subscribed waits until so many clients are.
func (f *Fleet) Subscribed(n int) {
	f.t.Helper()
	testkit.Eventually(f.t, time.Minute, func() bool { return len(f.Clients()) == n }, "%d clients to be subscribed", n)
}

// Clients are the numbers of the clients that are subscribed, in order.
func (f *Fleet) Clients() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.clients))
}

// Of returns what a client received about a job.
func (f *Fleet) Of(client int, uuid string) []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.received[client][uuid])
}

// Ended waits until every client has received the end of a job, and fails when one received another
// end. That it came once is checked with each event.
func (f *Fleet) Ended(uuid, state string) {
	f.t.Helper()
	for _, client := range f.Clients() {
		f.EndedFor(client, uuid, state)
	}
}

// EndedFor is Ended for one client.
func (f *Fleet) EndedFor(client int, uuid, state string) {
	f.t.Helper()
	deadline := time.Now().Add(endLimit)
	for {
		err := f.ended(client, uuid, state)
		if err == nil {
			return
		}
		// Only a missing end may still come. A wrong one stays wrong.
		if !errors.Is(err, ErrNoEnd) || time.Now().After(deadline) {
			f.t.Errorf("client %d, job %s: %v", client, uuid, err)
			return
		}
		<-time.After(50 * time.Millisecond) // between two polls of what came
	}
}

func (f *Fleet) ended(client int, uuid, state string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	story := f.stories[client]
	if story == nil {
		return ErrNoEnd
	}
	return story.Ended(uuid, state)
}
