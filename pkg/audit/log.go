package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"exporthub/pkg/database"
)

// FlushEvery is how often Run writes what was counted. A process that is killed loses the numbers
// of that long.
const FlushEvery = 10 * time.Second

// How many rows refusals may make in one process. What is beyond shares one row for each action and
// minute. Strangers and people are counted apart, or a stranger's noise would hide who of the
// people asked for what they may not.
const (
	strangersMinute = 100
	strangersDay    = 10_000
	peopleMinute    = 1_000
	peopleDay       = 100_000
	// maxHeld bounds what waits in memory while the database takes no writes.
	maxHeld = 5_000
)

// writeTimeout bounds one write of what was counted. The request that was refused waits for the
// first of its minute.
const writeTimeout = 2 * time.Second

// others is the detail of the row that counts what is beyond the budget.
const others = "其他来源合计"

// Options make a Log. DB is required.
type Options struct {
	DB     *database.DB
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default slog.Default()
}

// Log counts what is refused, and removes what is old. See the package comment.
type Log struct {
	db  *database.DB
	now func() time.Time
	log *slog.Logger

	mu     sync.Mutex
	counts map[bucket]*count
	people budget
	rest   budget
}

// bucket is what one counted row is about.
type bucket struct {
	minute  int64
	actor   int64
	action  string
	subject string
	network string // empty with others
	others  bool
}

// count is a row that is counted in this process.
type count struct {
	entry   Entry
	pending int64 // not written yet
}

// budget is how many buckets may still be made.
type budget struct {
	perMinute, perDay   int
	minute, day         int64
	thisMinute, thisDay int
}

// New returns a Log.
func New(o Options) *Log {
	l := &Log{
		db:     o.DB,
		now:    o.Now,
		log:    cmp.Or(o.Logger, slog.Default()),
		counts: map[bucket]*count{},
		people: budget{perMinute: peopleMinute, perDay: peopleDay},
		rest:   budget{perMinute: strangersMinute, perDay: strangersDay},
	}
	if l.now == nil {
		l.now = time.Now
	}
	return l
}

// take takes one bucket out of the budget, and reports whether there was one.
func (b *budget) take(at time.Time) bool {
	if m := at.Unix() / 60; m != b.minute {
		b.minute = m
		b.thisMinute = 0
	}
	if d := at.Unix() / (24 * 60 * 60); d != b.day {
		b.day = d
		b.thisDay = 0
	}
	if b.thisMinute >= b.perMinute || b.thisDay >= b.perDay {
		return false
	}
	b.thisMinute++
	b.thisDay++
	return true
}

// Count counts what was refused: one row a minute for each action, person, subject and network. It
// never fails: what can't be written now is written by Flush.
func (l *Log) Count(ctx context.Context, e Entry) {
	e.At = l.now()
	e = e.complete(ctx)
	key, c, first := l.count(e)
	if !first {
		return
	}
	// The client may have hung up, which must not hide what it tried.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	if err := l.write(ctx, key, c); err != nil {
		l.log.WarnContext(ctx, "what was refused is recorded later", "action", e.Action, "error", err)
	}
}

// count finds the bucket of an entry. first says that this process met it for the first time.
func (l *Log) count(e Entry) (key bucket, c *count, first bool) {
	e.At = e.At.Truncate(time.Minute)
	e.Address = network(e.Address)
	key = bucket{
		minute:  e.At.Unix() / 60,
		actor:   e.ActorID,
		action:  e.Action,
		subject: e.Subject,
		network: e.Address,
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts[key] == nil {
		left := &l.rest
		if e.ActorID != 0 {
			left = &l.people
		}
		if len(l.counts) >= maxHeld || !left.take(e.At) {
			key = bucket{minute: key.minute, action: e.Action, others: true}
			e = Entry{At: e.At, Action: e.Action, Detail: others}
		}
	}
	c = l.counts[key]
	if c == nil {
		c = &count{entry: e}
		l.counts[key] = c
		first = true
	}
	c.pending++
	return key, c, first
}

// network is an address as it is counted: of IPv6 its /64, which is what one host has at its free
// use.
func network(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil || !addr.Is6() {
		return address
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}

// name is the bucket in the unique column by which replicas share its row.
func (b bucket) name() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\x00%d\x00%s\x00%s\x00%s\x00%t", b.minute, b.actor, b.action, b.subject, b.network, b.others))
	return hex.EncodeToString(sum[:])
}

// write writes what a bucket has counted and was not written. A number whose write failed is given
// back; one whose commit nobody knows of may be counted twice, which is the safe side.
func (l *Log) write(ctx context.Context, key bucket, c *count) error {
	l.mu.Lock()
	times := c.pending
	c.pending = 0
	l.mu.Unlock()
	if times == 0 {
		return nil
	}
	err := l.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		return add(ctx, tx, c.entry, key.name(), times)
	})
	if err != nil {
		l.mu.Lock()
		c.pending += times
		l.mu.Unlock()
	}
	return err
}

// Flush writes everything that was counted, and drops the minutes that are over.
func (l *Log) Flush(ctx context.Context) error {
	type held struct {
		key bucket
		c   *count
	}
	l.mu.Lock()
	all := make([]held, 0, len(l.counts))
	for key, c := range l.counts {
		all = append(all, held{key, c})
	}
	l.mu.Unlock()
	now := l.now().Unix() / 60
	for _, h := range all {
		if err := l.write(ctx, h.key, h.c); err != nil {
			return err // the others would fail alike, and are kept
		}
		l.mu.Lock()
		if h.key.minute < now && h.c.pending == 0 {
			delete(l.counts, h.key)
		}
		l.mu.Unlock()
	}
	return nil
}

// Run flushes until ctx ends, and once more then.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(FlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := l.Flush(ctx); err != nil && ctx.Err() == nil {
				l.log.WarnContext(ctx, "what was refused is recorded later", "error", err)
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
			defer cancel()
			if err := l.Flush(last); err != nil {
				l.log.WarnContext(last, "the numbers of what was refused last are lost", "error", err)
			}
			return nil
		}
	}
}

// How much one round of Purge removes. The bounds keep its transactions short.
const (
	purgeBatch = 2_000
	purgeRound = 10 // batches
)

// Purge removes rows that are older than the retention, some thousands a round, and returns how
// many.
func (l *Log) Purge(ctx context.Context, retention time.Duration) (removed int64, err error) {
	before := l.now().Add(-retention)
	for range purgeRound {
		var n int64
		err := l.db.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
			n, err = purge(ctx, tx, before, purgeBatch)
			return err
		})
		removed += n
		if err != nil {
			return removed, err
		}
		if n < purgeBatch {
			break
		}
	}
	return removed, nil
}
