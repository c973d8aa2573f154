package bayeux

import (
	"maps"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// address is what a network address has open here. All of it is under the server's lock.
type address struct {
	sessions, sockets int
	handshakes        bucket
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

// addressLocked returns the entry of an address.
func (s *Server) addressLocked(name string) *address {
	a := s.addresses[name]
	if a == nil {
		a = &address{}
		s.addresses[name] = a
	}
	return a
}

// mayShakeHands counts a handshake of an address.
func (s *Server) mayShakeHands(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addresses[name] == nil && len(s.addresses) >= s.opt.MaxSessions+s.opt.MaxSockets {
		// More addresses than could have anything open: what they spent is remembered only until
		// the next sweep.
		return false
	}
	return s.addressLocked(name).handshakes.take(time.Now(), s.opt.HandshakeRate, s.opt.HandshakeBurst)
}

// leaveLocked drops an address that has nothing open and whose handshakes are long past.
func (s *Server) leaveLocked(name string, now time.Time) {
	if a := s.addresses[name]; a != nil && a.sessions == 0 && a.sockets == 0 && a.handshakes.full(now, s.opt.HandshakeRate) {
		delete(s.addresses, name)
		s.addresses = shrunk(s.addresses, &s.peaks.addresses)
	}
}

// sweepAddresses drops addresses that only shook hands.
func (s *Server) sweepAddresses() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for name := range maps.Clone(s.addresses) {
		s.leaveLocked(name, now)
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
