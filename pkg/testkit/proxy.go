package testkit

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// TCPProxy stands between a client and a server and fails as networks do. It knows no protocol:
// what is cut is cut between two bytes, wherever a statement or a message happens to be.
//
// Its methods are safe for concurrent use, since tests cut from beside what they test.
type TCPProxy struct {
	t      testing.TB
	addr   string
	target string
	wg     sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener       // nil while cut
	conns    map[*link]struct{} // both ends of each connection
	flowing  chan struct{}      // closed while bytes flow; a new one while they stall
	closed   bool
}

// link is one proxied connection. It has a goroutine for each direction, and both end with it: the
// first failure on either side closes both.
type link struct {
	client, server net.Conn
	gone           chan struct{}
	once           sync.Once
}

// Proxy starts a proxy on a free loopback port to target, which is host:port or a URL. It is closed
// with the test.
func Proxy(t testing.TB, target string) *TCPProxy {
	t.Helper()
	if u, err := url.Parse(target); err == nil && u.Host != "" {
		target = u.Host
	}
	// A closed channel lets every reader pass. Stall replaces it by an open one.
	flowing := make(chan struct{})
	close(flowing)
	p := &TCPProxy{
		t:       t,
		target:  target,
		conns:   map[*link]struct{}{},
		flowing: flowing,
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("testkit: proxy: %v", err)
	}
	p.addr = l.Addr().String()
	p.mu.Lock()
	p.serveLocked(l)
	p.mu.Unlock()
	t.Cleanup(p.close)
	return p
}

// Addr returns the proxy's host:port.
func (p *TCPProxy) Addr() string { return p.addr }

// URL returns rawURL with the proxy in the place of its host.
func (p *TCPProxy) URL(rawURL string) string {
	p.t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		p.t.Fatalf("testkit: proxy: %v", err)
	}
	u.Host = p.addr
	return u.String()
}

// Conns returns how many connections there are.
func (p *TCPProxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Cut resets every connection and refuses new ones, as if the server were killed.
func (p *TCPProxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutLocked()
}

// Reset resets every connection and accepts new ones, as a server that is restarted or a firewall
// that loses its state.
func (p *TCPProxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The links leave the map by themselves, in their own goroutines.
	for l := range p.conns {
		l.reset()
	}
}

// Stall stops the flow of bytes: connections stay open, new ones are accepted, and nothing arrives
// on either side.
func (p *TCPProxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.flowing:
		p.flowing = make(chan struct{})
	default: // stalled already
	}
}

// Restore ends a Cut or a Stall. What was sent during a Stall arrives now.
func (p *TCPProxy) Restore() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flowLocked()
	if p.listener != nil || p.closed {
		return
	}
	var l net.Listener
	var err error
	for deadline := time.Now().Add(5 * time.Second); ; {
		// A client's outgoing connection may hold the port for a moment.
		if l, err = net.Listen("tcp", p.addr); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		p.t.Errorf("testkit: proxy: %v", err)
		return
	}
	p.serveLocked(l)
}

// close ends every connection and returns when every goroutine has ended: a goroutine that is left
// would be found as a leak of the next test.
func (p *TCPProxy) close() {
	p.mu.Lock()
	p.closed = true
	p.cutLocked()
	// What waits for the end of a stall has to wake to see that its connection is gone.
	p.flowLocked()
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *TCPProxy) cutLocked() {
	// Closed before the connections: a client that dials again at once is refused, not accepted
	// late.
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	for l := range p.conns {
		l.reset()
	}
}

func (p *TCPProxy) flowLocked() {
	select {
	case <-p.flowing:
	default:
		close(p.flowing)
	}
}

func (p *TCPProxy) serveLocked(l net.Listener) {
	p.listener = l
	p.wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.connect(l, client) })
		}
	})
}

// connect joins a client with the server. A Cut in the meantime, seen by the listener, wins.
func (p *TCPProxy) connect(l net.Listener, client net.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// Dialled without the lock, since a stalled server may take all of the timeout.
	server, err := new(net.Dialer).DialContext(ctx, "tcp", p.target)
	if err != nil {
		client.Close()
		return
	}
	c := &link{
		client: client,
		server: server,
		gone:   make(chan struct{}),
	}
	p.mu.Lock()
	if p.listener != l {
		p.mu.Unlock()
		c.reset()
		return
	}
	p.conns[c] = struct{}{}
	p.mu.Unlock()
	defer func() {
		c.close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, c)
	}()
	var back sync.WaitGroup
	back.Go(func() { p.pump(c, c.client, c.server) })
	p.pump(c, c.server, c.client)
	back.Wait()
}

// pump copies one direction. An orderly end is passed on; anything else ends the connection.
func (p *TCPProxy) pump(c *link, from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		// Read even while stalled: one read is taken out of the socket, and TCP's own flow control
		// holds the rest back once the kernel's buffers are full, as a stalled peer would.
		n, err := from.Read(buf)
		p.mu.Lock()
		flowing := p.flowing
		p.mu.Unlock()
		select {
		case <-flowing:
		case <-c.gone:
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				c.reset()
				return
			}
		}
		// Half-closed connections are part of the protocols under test: a client may close its side
		// and still read the answer.
		if err == io.EOF {
			closeWrite(to)
			return
		}
		if err != nil {
			c.reset()
			return
		}
	}
}

func closeWrite(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // fails on a connection that is gone anyway
	}
}

// close closes both ends after an orderly end.
func (c *link) close() {
	c.once.Do(func() {
		close(c.gone)
		c.client.Close()
		c.server.Close()
	})
}

// reset closes both ends with a RST, as a killed process or a firewall does. Linger 0 discards what
// is still in the buffers, so that the peer's next read fails and does not find a clean end.
func (c *link) reset() {
	c.once.Do(func() {
		close(c.gone)
		for _, conn := range []net.Conn{c.client, c.server} {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // fails on a connection that is gone anyway
			}
			conn.Close()
		}
	})
}
