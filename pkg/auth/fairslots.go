package auth

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
	"time"

	"exporthub/pkg/errs"
)

// fairSlots lets a few calls work at once and shares the slots among the networks that wait for
// one: each /48 of IPv6 in turn, within it each /64, within that first come first served. An IPv4
// address is a network by itself. However many calls one attacker has waiting, a call from
// elsewhere is next but one.
type fairSlots struct {
	mu      sync.Mutex
	free    int
	limit   int // how many may wait
	waiting int
	wide    ring // of *ring of *queue of *waiter
}

// ring holds the networks that have somebody waiting, in the order in which they are served.
type ring struct {
	order *list.List // of any
	at    map[netip.Prefix]*list.Element
}

// network is one entry of a ring: narrower networks, or the waiters of the narrowest.
type network struct {
	prefix  netip.Prefix
	inner   *ring
	waiters *list.List // of *waiter
	size    int
}

type waiter struct {
	ready  chan struct{} // closed when the slot is the waiter's, or when it was put out
	putOut bool          // under fairSlots.mu
}

func newFairSlots(slots, limit int) *fairSlots {
	return &fairSlots{free: slots, limit: limit, wide: newRing()}
}

func newRing() ring { return ring{order: list.New(), at: map[netip.Prefix]*list.Element{}} }

// networks returns the /48 and the /64 of an address, which for IPv4 are the address itself. A call
// of our own, without an address, is a network too.
func networks(from netip.Addr) (wide, narrow netip.Prefix) {
	if !from.Is6() {
		single := netip.PrefixFrom(from, from.BitLen())
		return single, single
	}
	wide, _ = from.Prefix(48) // fails only for widths beyond 128
	narrow, _ = from.Prefix(64)
	return wide, narrow
}

// take waits for a slot. When too many wait, the last of the network with most waiters is put out
// with Unavailable: the newcomer itself, where its network is that one.
func (f *fairSlots) take(ctx context.Context, from netip.Addr) (release func(), err error) {
	f.mu.Lock()
	if f.free > 0 && f.waiting == 0 {
		f.free--
		f.mu.Unlock()
		return f.release, nil
	}
	w := &waiter{ready: make(chan struct{})}
	f.addLocked(w, from)
	if f.waiting > f.limit {
		f.putOutLocked()
	}
	f.serveLocked()
	f.mu.Unlock()
	select {
	case <-w.ready:
	case <-ctx.Done():
	}
	return f.outcome(ctx, w, from)
}

// outcome says what became of a waiter that stopped waiting.
func (f *fairSlots) outcome(ctx context.Context, w *waiter, from netip.Addr) (func(), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case w.putOut:
		return nil, loginBusy()
	case f.removeLocked(w, from):
		return nil, ctx.Err()
	case ctx.Err() != nil:
		// The slot came in the same moment; somebody else shall have it.
		f.free++
		f.serveLocked()
		return nil, ctx.Err()
	}
	return f.release, nil
}

func (f *fairSlots) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free++
	f.serveLocked()
}

// entry returns the network of a prefix, which it adds at the end of the ring where missing.
func (r *ring) entry(prefix netip.Prefix, inner bool) *network {
	if e := r.at[prefix]; e != nil {
		return e.Value.(*network)
	}
	n := &network{prefix: prefix}
	if inner {
		narrower := newRing()
		n.inner = &narrower
	} else {
		n.waiters = list.New()
	}
	r.at[prefix] = r.order.PushBack(n)
	return n
}

func (r *ring) remove(n *network) {
	r.order.Remove(r.at[n.prefix])
	delete(r.at, n.prefix)
}

func (f *fairSlots) addLocked(w *waiter, from netip.Addr) {
	wide, narrow := networks(from)
	outer := f.wide.entry(wide, true)
	inner := outer.inner.entry(narrow, false)
	inner.waiters.PushBack(w)
	outer.size++
	inner.size++
	f.waiting++
}

// dropLocked takes one waiter out of its networks and the networks that became empty out of their
// rings.
func (f *fairSlots) dropLocked(outer, inner *network, at *list.Element) *waiter {
	w := inner.waiters.Remove(at).(*waiter)
	outer.size--
	inner.size--
	f.waiting--
	if inner.size == 0 {
		outer.inner.remove(inner)
	}
	if outer.size == 0 {
		f.wide.remove(outer)
	}
	return w
}

// serveLocked gives free slots to the networks in turn.
func (f *fairSlots) serveLocked() {
	for f.free > 0 && f.waiting > 0 {
		f.free--
		outer := f.wide.order.Front().Value.(*network)
		inner := outer.inner.order.Front().Value.(*network)
		// To the end of both rings first: what is empty afterwards leaves them.
		f.wide.order.MoveToBack(f.wide.order.Front())
		outer.inner.order.MoveToBack(outer.inner.order.Front())
		close(f.dropLocked(outer, inner, inner.waiters.Front()).ready)
	}
}

// putOutLocked ends the newest wait of the largest network. Looking at all of them costs at most
// limit steps, and only while everything is full.
func (f *fairSlots) putOutLocked() {
	largest := func(r *ring) *network {
		var most *network
		for e := r.order.Front(); e != nil; e = e.Next() {
			if n := e.Value.(*network); most == nil || n.size > most.size {
				most = n
			}
		}
		return most
	}
	outer := largest(&f.wide)
	inner := largest(outer.inner)
	w := f.dropLocked(outer, inner, inner.waiters.Back())
	w.putOut = true
	close(w.ready)
}

// removeLocked takes a waiter whose caller left out of the queue; false when it is not in there.
func (f *fairSlots) removeLocked(w *waiter, from netip.Addr) bool {
	wide, narrow := networks(from)
	e := f.wide.at[wide]
	if e == nil {
		return false
	}
	outer := e.Value.(*network)
	if e = outer.inner.at[narrow]; e == nil {
		return false
	}
	inner := e.Value.(*network)
	for at := inner.waiters.Front(); at != nil; at = at.Next() {
		if at.Value.(*waiter) == w {
			f.dropLocked(outer, inner, at)
			return true
		}
	}
	return false
}

func loginBusy() error {
	return &errs.Error{
		Kind:       errs.Unavailable,
		Code:       "login_busy",
		Message:    "登录的人太多，请稍后再试",
		RetryAfter: time.Second,
	}
}
