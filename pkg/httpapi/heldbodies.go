package httpapi

import (
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"exporthub/pkg/errs"
)

// BodyMemory bounds the request bodies that are read into memory at the same time, in bytes: of all
// clients, and of one address. Of IPv6 an address is a /64, and its /48 has twice as much. Bodies
// that a handler streams are its own business.
type BodyMemory struct {
	All        int64 // default 64 MiB
	PerAddress int64 // default 8 MiB
	// Address is where a request comes from; nil counts all as one.
	Address func(r *http.Request) netip.Addr
}

const (
	// freeBody is how much of a body is not counted. It is more than a login has, so that people
	// can sign in while others have used up everything.
	freeBody = 4 << 10
	// heldRetry is when to try again: bodies that are sent slowly end after some 15 s.
	heldRetry = 5 * time.Second
)

// heldBodies counts what BodyMemory bounds.
type heldBodies struct {
	limits BodyMemory

	mu   sync.Mutex
	all  int64
	nets map[netip.Prefix]int64
}

func newHeldBodies(m BodyMemory) *heldBodies {
	if m.All == 0 {
		m.All = 64 << 20
	}
	if m.PerAddress == 0 {
		m.PerAddress = 8 << 20
	}
	if m.Address == nil {
		m.Address = func(*http.Request) netip.Addr { return netip.Addr{} }
	}
	return &heldBodies{limits: m, nets: map[netip.Prefix]int64{}}
}

// take counts n more bytes of an address, or says why there is no room for them.
func (h *heldBodies) take(from netip.Addr, n int64) error {
	wide, narrow := bodyNetworks(from)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.all+n > h.limits.All:
		return &errs.Error{Kind: errs.Unavailable, Code: "bodies_full", RetryAfter: heldRetry}
	case h.nets[narrow]+n > h.limits.PerAddress || h.nets[wide]+n > 2*h.limits.PerAddress:
		return &errs.Error{Kind: errs.TooMany, Code: "bodies_of_address", RetryAfter: heldRetry}
	}
	h.addLocked(wide, narrow, n)
	return nil
}

func (h *heldBodies) release(from netip.Addr, n int64) {
	wide, narrow := bodyNetworks(from)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addLocked(wide, narrow, -n)
}

func (h *heldBodies) addLocked(wide, narrow netip.Prefix, n int64) {
	h.all += n
	for _, network := range []netip.Prefix{narrow, wide} {
		if h.nets[network] += n; h.nets[network] == 0 {
			delete(h.nets, network) // or every address that ever sent would stay
		}
		if wide == narrow {
			return
		}
	}
}

// bodyNetworks returns the networks by which an address counts.
func bodyNetworks(from netip.Addr) (wide, narrow netip.Prefix) {
	if !from.Is6() {
		single := netip.PrefixFrom(from, max(from.BitLen(), 0))
		return single, single
	}
	wide, _ = from.Prefix(48) // fails only for widths beyond 128
	narrow, _ = from.Prefix(64)
	return wide, narrow
}

// heldBody is a body that is read into memory whole.
type heldBody struct {
	io.ReadCloser
	held  *heldBodies
	from  netip.Addr
	read  int64
	taken int64
}

// Read counts what it returns, before the caller keeps it.
func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if more := b.read - freeBody - b.taken; more > 0 {
		if full := b.held.take(b.from, more); full != nil {
			return 0, full
		}
		b.taken += more
	}
	return n, err
}

// end gives back what was taken, once the request has been answered.
func (b *heldBody) end() {
	if b.taken > 0 {
		b.held.release(b.from, b.taken)
		b.taken = 0
	}
}
