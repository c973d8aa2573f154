package bayeux

import (
	"container/list"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// address is what a network has open here: an IPv4 address, a /64 of IPv6 or its /48. All of it is
// under the server's lock. A principal with an ID has one too, for its handshakes.
type address struct {
	name              string
	sessions, sockets int
	handshakes        bucket
	// What can be given up for others, oldest first: anonymous sessions that subscribe to nothing,
	// and sockets that carry no session.
	idle, loose list.List
}

// networkFactor is how many times a bound per address each of networks may have. A /48 holds
// 65,536 /64s and is often one subscriber's, so it has not many times as much. Twice the default of
// MaxSessionsPerAddress is still less than all that anonymous sessions may have.
var networkFactor = [...]int{1, 2}

// networks names what an address counts for: itself, and of a /64 its /48.
func networks(addr string) []string {
	names := []string{addr}
	if p, err := netip.ParsePrefix(addr); err == nil && p.Addr().Is6() && p.Bits() > 48 {
		if wide, err := p.Addr().Prefix(48); err == nil {
			names = append(names, wide.String())
		}
	}
	return names
}

// RemoteAddress is the default of Options.Address: the connection's other end, of IPv6 the /64
// network, since that is what one customer has.
func RemoteAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	return Network(ip)
}

// Network names what an address counts as: the address itself, of IPv6 its /64 network. It is for
// Options.Address behind a proxy, with the address that the proxy names.
func Network(ip netip.Addr) string {
	if ip = ip.Unmap(); ip.Is6() {
		if network, err := ip.WithZone("").Prefix(64); err == nil {
			return network.String()
		}
	}
	return ip.String()
}

// addressLocked returns the entry of a network or principal.
func (s *Server) addressLocked(name string) *address {
	a := s.addresses[name]
	if a == nil {
		a = &address{name: name}
		s.addresses[name] = a
	}
	return a
}

// networksLocked returns the entries of an address's networks, which it makes where missing.
func (s *Server) networksLocked(addr string) []*address {
	names := networks(addr)
	entries := make([]*address, len(names))
	for i, name := range names {
		entries[i] = s.addressLocked(name)
	}
	return entries
}

// knownLocked returns the same entries, with nil in place of what is missing.
func (s *Server) knownLocked(addr string) []*address {
	names := networks(addr)
	entries := make([]*address, len(names))
	for i, name := range names {
		entries[i] = s.addresses[name]
	}
	return entries
}

// mayShakeHands counts a handshake for its principal or, without an ID, for its address.
func (s *Server) mayShakeHands(p Principal, addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := networks(addr)
	if p.ID != "" {
		names = []string{"principal " + p.ID} // no network's name
	}
	// More networks than could have anything open: what they spent is remembered only until the
	// next sweep. People are as many as there are, and never refused for strangers' sake.
	full := len(s.addresses) >= s.opt.MaxSessions+s.opt.MaxSockets
	now := time.Now()
	for i, name := range names {
		if full && p.ID == "" && s.addresses[name] == nil {
			return false
		}
		rate, burst := s.opt.HandshakeRate*networkFactor[i], s.opt.HandshakeBurst*networkFactor[i]
		if !s.addressLocked(name).handshakes.take(now, rate, burst) {
			return false
		}
	}
	return true
}

// leaveLocked drops an entry that has nothing open and whose handshakes are long past.
func (s *Server) leaveLocked(a *address, now time.Time) {
	if a.sessions == 0 && a.sockets == 0 && a.handshakes.full(now, s.opt.HandshakeRate) {
		delete(s.addresses, a.name)
		s.addresses = shrunk(s.addresses, &s.peaks.addresses)
	}
}

// sweepAddresses drops addresses that only shook hands.
func (s *Server) sweepAddresses() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, a := range maps.Clone(s.addresses) {
		s.leaveLocked(a, now)
	}
}

// shrunk returns a map in place of one that once held many times more: a map keeps the room that it
// once needed.
func shrunk[K comparable, V any](m map[K]V, peak *int) map[K]V {
	*peak = max(*peak, len(m)+1) // it is called after a deletion
	if *peak < 1024 || len(m) > *peak/4 {
		return m
	}
	small := make(map[K]V, len(m))
	for k, v := range m {
		small[k] = v
	}
	*peak = len(m)
	return small
}
