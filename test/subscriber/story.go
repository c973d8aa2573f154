package subscriber

import (
	"errors"
	"fmt"
	"time"
)

// Story is everything that one client was sent on one channel, and what may not be wrong with it.
// Every client of this package tells its events to one, so a test that follows a job checks its
// whole story and not only what it looks for.
//
// A story knows three kinds of events: those of an export, which carry a sequence number; the bar
// of a decision about many invitations; and what is about one thing and has no number, such as a
// message or one decision.
type Story struct {
	// Steady says that nothing was broken between the client and the events: then nothing is sent
	// again, and what is marked is what a session is first sent of a job.
	Steady bool

	// Older says that processes of the release before are at work, too. Their events carry the time
	// of their row, say a percentage twice, and are sent again unmarked and late after a cut.
	// Everything else is theirs as well.
	Older bool

	exports map[string]*exportStory
	bars    map[string]*barStory
	told    map[string]bool // things that came unmarked, by what they are
}

// exportStory is what was sent of one export.
type exportStory struct {
	newest  Event // by its number, over all sessions
	session Event // the newest of this session
	end     *Event
}

// barStory is what was sent of one decision about many.
type barStory struct {
	newest Event
	over   bool
}

// Handshake tells that the client begins a new session, which may be sent again what an earlier one
// of the client was.
func (s *Story) Handshake() {
	for _, x := range s.exports {
		x.session = Event{}
	}
}

// Take checks the next event and returns everything that is wrong with it.
func (s *Story) Take(e Event) error {
	switch {
	case e.Seq > 0:
		return s.takeExport(e)
	case e.Status == "progress":
		return s.takeBar(e)
	}
	return s.takeThing(e)
}

// takeExport checks an event of an export.
func (s *Story) takeExport(e Event) error {
	if s.exports == nil {
		s.exports = map[string]*exportStory{}
	}
	x := s.exports[e.UUID]
	if x == nil {
		x = &exportStory{}
		s.exports[e.UUID] = x
	}
	problems := []error{e.sound(), s.needless(x, e), s.repeated(x, e), x.ended(e), s.after(x, e)}
	if e.Seq > x.newest.Seq {
		x.newest = e
	}
	if e.Seq > x.session.Seq {
		x.session = e
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("export %s: %w", e.UUID, err)
	}
	return nil
}

// needless checks that nothing is sent again where nothing was lost.
func (s *Story) needless(x *exportStory, e Event) error {
	if s.Steady && e.Replayed && x.newest.Seq > 0 {
		return fmt.Errorf("%s is replayed after %s, though nothing was broken", e, x.newest)
	}
	return nil
}

// repeated checks that nothing comes twice, or late, without saying so. What is marked may be what
// the client has, but within a session nothing older.
func (s *Story) repeated(x *exportStory, e Event) error {
	switch {
	case s.Older:
		return nil
	case !e.Replayed && e.Seq == x.newest.Seq:
		return fmt.Errorf("%s is sent twice, and the second is not marked as replayed", e)
	case !e.Replayed && e.Seq < x.newest.Seq:
		return fmt.Errorf("%s is sent after %s, and is not marked as replayed", e, x.newest)
	case e.Seq < x.session.Seq:
		return fmt.Errorf("%s is replayed after %s in the same session", e, x.session)
	}
	return nil
}

// ended checks that an export ends once, and that nothing follows its end but the end again. That
// an end is not sent again unmarked is checked as of every event.
func (x *exportStory) ended(e Event) error {
	before := x.end
	if Over(e) {
		x.end = &e
	}
	switch {
	case before == nil:
		return nil
	case Over(e) && (e.Status != before.Status || e.Seq != before.Seq):
		return fmt.Errorf("%s is a second end, after %s", e, *before)
	case !Over(e) && e.Seq > before.Seq:
		return fmt.Errorf("%s comes after the end %s", e, *before)
	}
	return nil
}

// after checks an event against the newest one before it: how far an attempt is never goes back,
// and neither does the time.
func (s *Story) after(x *exportStory, e Event) error {
	last := x.newest
	if last.Seq == 0 {
		return nil
	}
	if e.Seq == last.Seq {
		if e.Status != last.Status || e.Attempt != last.Attempt || e.Progress < last.Progress && !s.Older {
			return fmt.Errorf("%s has the number of %s and says something else", e, last)
		}
		return nil
	}
	if e.Seq < last.Seq {
		return nil // an old one, of an earlier session: repeated has judged it
	}
	var problems []error
	add := func(format string) { problems = append(problems, fmt.Errorf(format, e, last)) }
	if e.Attempt < last.Attempt {
		add("%s is of an older attempt than %s")
	}
	if !e.at().After(last.at()) && !s.Older {
		add("%s has not a later time than %s")
	}
	if e.Attempt == last.Attempt {
		if order[e.Status] < order[last.Status] {
			add("%s: the stage goes back from %s")
		}
		if e.Progress < last.Progress {
			add("%s: the progress goes back from %s")
		}
		// With each stage the percentage is sent at least once, and within one only when it has
		// changed, or when the upload is tried again.
		if e.Status == last.Status && e.Progress == last.Progress && e.UploadAttempt == last.UploadAttempt && !s.Older {
			add("%s says the same as %s")
		}
	}
	return errors.Join(problems...)
}

// order is the stages of an export, in which an attempt passes them.
var order = map[string]int{
	"queued":         1,
	"starting":       2,
	"start":          3,
	"writing_file":   4,
	"before_upload":  5,
	"uploading":      6,
	"upload_failure": 7,
	"success":        8,
	"failure":        8,
	"cancelled":      8,
}

// sound checks what an event says by itself.
func (e Event) sound() error {
	switch {
	case order[e.Status] == 0:
		return fmt.Errorf("%s has an unknown status", e)
	case e.Attempt < 1:
		return fmt.Errorf("%s has no attempt", e)
	case e.at().IsZero():
		return fmt.Errorf("%s has no time: %q", e, e.At)
	case e.Progress < 0 || e.Progress > 100:
		return fmt.Errorf("%s has a progress outside 0 to 100", e)
	case (e.Status == "success") != (e.FileURL != nil):
		return fmt.Errorf("%s: a link comes with success and with nothing else", e)
	case e.Status == "success" && e.Progress != 100:
		return fmt.Errorf("%s is not complete", e)
	case e.ETASeconds != nil && (e.Status == "queued" || Over(e)):
		return fmt.Errorf("%s: a time is left of what does not run", e)
	}
	return nil
}

// at is when it happened; the zero time when the event does not say it.
func (e Event) at() time.Time {
	at, err := time.Parse(time.RFC3339Nano, e.At)
	if err != nil {
		return time.Time{}
	}
	return at
}

// String is the event in a line of a failure.
func (e Event) String() string {
	marked := ""
	if e.Replayed {
		marked = " replayed"
	}
	return fmt.Sprintf("%s %d%% (attempt %d, number %d, at %s%s)", e.Status, e.Progress, e.Attempt, e.Seq, e.At, marked)
}

// takeBar checks an event of a decision about many: what is done never becomes less, and the last
// one comes once.
func (s *Story) takeBar(e Event) error {
	if s.bars == nil {
		s.bars = map[string]*barStory{}
	}
	b := s.bars[e.UUID]
	if b == nil {
		b = &barStory{newest: e}
		s.bars[e.UUID] = b
	}
	last := b.newest
	switch {
	case e.Total != last.Total || e.Done > e.Total || e.Failed > e.Done:
		return fmt.Errorf("decision %s: %d of %d done, %d failed; before it were %d of %d",
			e.UUID, e.Done, e.Total, e.Failed, last.Done, last.Total)
	case e.Done < last.Done || e.Failed < last.Failed:
		return fmt.Errorf("decision %s: from %d done and %d failed back to %d and %d",
			e.UUID, last.Done, last.Failed, e.Done, e.Failed)
	case b.over && !e.Replayed:
		return fmt.Errorf("decision %s: %d of %d is sent after the end, unmarked", e.UUID, e.Done, e.Total)
	}
	b.newest = e
	b.over = e.Done == e.Total
	return nil
}

// takeThing checks an event about one thing: it comes once unless it is marked. Counts alone say
// how many there are, and may come as often as they change.
func (s *Story) takeThing(e Event) error {
	var what string
	switch {
	case e.Message != nil:
		what = fmt.Sprintf("message %d", e.Message.ID)
	case e.Status != "" && e.ID != 0:
		what = fmt.Sprintf("decision %s of %d", e.Status, e.ID)
	}
	if what == "" || e.Replayed {
		return nil
	}
	if s.told[what] {
		return fmt.Errorf("%s is sent twice, and the second is not marked as replayed", what)
	}
	if s.told == nil {
		s.told = map[string]bool{}
	}
	s.told[what] = true
	return nil
}

// Ended says what is missing of the story of an export that is over: its end, in the state of its
// row.
func (s *Story) Ended(uuid, state string) error {
	x := s.exports[uuid]
	switch {
	case x == nil || x.end == nil:
		return ErrNoEnd
	case x.end.Status != state:
		return fmt.Errorf("received %s, the job ended as %s", x.end.Status, state)
	}
	return nil
}

// ErrNoEnd says that the end has not come, or not yet.
var ErrNoEnd = errors.New("received no end")
