package fake

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Op is what a request asks for. Its text is what faults and the list of requests are written with
// in JSON.
type Op string

// The operations.
const (
	OpForm     Op = "form"
	OpInit     Op = "init"
	OpPart     Op = "part"
	OpParts    Op = "parts" // the list of an upload's parts
	OpComplete Op = "complete"
	OpAbort    Op = "abort"
	OpStat     Op = "stat"
	OpCopy     Op = "copy"
	OpDelete   Op = "delete"
	OpExpire   Op = "expire" // deleteAfterDays
	OpList     Op = "list"
	OpDownload Op = "download"
	OpUnknown  Op = "unknown"
)

var ops = []Op{
	OpForm, OpInit, OpPart, OpParts, OpComplete, OpAbort, OpStat, OpCopy, OpDelete, OpExpire, OpList, OpDownload, OpUnknown,
}

// Kind is how an operation fails. Each is a way in which Kodo, a proxy or the network between can
// fail.
type Kind string

// The kinds of faults.
const (
	Refuse Kind = "refuse" // answer with Status, without doing anything
	// read half of the body, or nothing, then stand still until the client gives up
	Stall Kind = "stall"
	// read half of the body, or answer half of a download, and end the connection
	Cut    Kind = "cut"
	Drop   Kind = "drop"   // do it, and end the connection without an answer
	Lie    Kind = "lie"    // do it, and answer with a wrong hash and MD5
	Damage Kind = "damage" // store other bytes than were sent, and tell their hash
	Lose   Kind = "lose"   // answer as if it were done, and do nothing
	Hijack Kind = "hijack" // answer with success as something else than Kodo would, without X-Reqid
	Slow   Kind = "slow"   // answer bit by bit, with Delay between
)

var kinds = []Kind{Refuse, Stall, Cut, Drop, Lie, Damage, Lose, Hijack, Slow}

// Fault is a failure to come. Empty fields match everything, so Fault{Kind: Drop} cuts off every
// answer until Heal.
type Fault struct {
	Op     Op            `json:"op"` // empty is any
	Kind   Kind          `json:"kind"`
	Status int           `json:"status,omitempty"` // for Refuse
	Text   string        `json:"text,omitempty"`   // of the error, for Refuse
	Key    string        `json:"key,omitempty"`    // only of this object
	Part   int           `json:"part,omitempty"`   // only this part
	After  int           `json:"after,omitempty"`  // so many matching requests pass first
	Times  int           `json:"times,omitempty"`  // so many fail then; 0 is all
	Delay  time.Duration `json:"delay,omitempty"`  // nanoseconds, for Slow

	spent bool // Times was used up; Times itself is then 0, which would mean all
}

// check refuses a fault that could never happen, since the test that adds it would prove nothing.
func (f *Fault) check() error {
	switch {
	case f.Op != "" && !slices.Contains(ops, f.Op):
		return fmt.Errorf("fake qiniu: operation %q is unknown", f.Op)
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("fake qiniu: kind %q is unknown", f.Kind)
	case f.Kind == Refuse && (f.Status < 400 || f.Status > 999):
		return fmt.Errorf("fake qiniu: status %d refuses nothing", f.Status)
	case f.Times < 0 || f.After < 0:
		return fmt.Errorf("fake qiniu: counts can't be negative")
	}
	return nil
}

// Fail adds faults. Of several that match a request the first added happens. None is added when one
// of them is refused.
func (s *Server) Fail(faults ...Fault) error {
	for _, f := range faults {
		if err := f.check(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		s.faults = append(s.faults, &f) // each turn of the loop has its own f
	}
	return nil
}

// Heal removes all faults. Requests that already stand still go on standing still.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault returns what is to happen to a request, and counts it. Asking twice for one request would
// count it twice, so serve keeps what it got.
func (s *Server) fault(r Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.spent || f.Op != "" && f.Op != r.Op || f.Key != "" && f.Key != r.Key || f.Part != 0 && f.Part != r.Part {
			continue
		}
		// Counted before Times: the requests that pass are not failures.
		if f.After > 0 {
			f.After--
			continue
		}
		if f.Times > 0 {
			f.Times--
			f.spent = f.Times == 0
		}
		// A copy: the request is served without the lock.
		now := *f
		return &now
	}
	return nil
}

// is reports whether f, which may be nil, is of a kind.
func (f *Fault) is(k Kind) bool { return f != nil && f.Kind == k }

// cutOff ends the connection without an answer, as a server does that is killed.
func cutOff(w http.ResponseWriter) {
	// The reverse of an orderly end: with nothing more to say, the connection is reset.
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if l, ok := conn.(interface{ SetLinger(int) error }); ok {
			_ = l.SetLinger(0)
		}
		_ = conn.Close()
		return
	}
	panic(http.ErrAbortHandler)
}
