package testkit

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// echo serves lines back until the test ends; "bye" makes it close after a last line.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					if _, err := io.WriteString(conn, lines.Text()+"\n"); err != nil || lines.Text() == "bye" {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{conn, bufio.NewReader(conn)}
}

// ask sends a line and returns the answer, within a time.
func (c *client) ask(line string, within time.Duration) (string, error) {
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	return c.r.ReadString('\n')
}

func mustAnswer(t *testing.T, c *client, line string) {
	t.Helper()
	if got, err := c.ask(line, 10*time.Second); err != nil || got != line+"\n" {
		t.Fatalf("asked %q, got %q, %v", line, got, err)
	}
}

func TestProxyCutAndRestore(t *testing.T) {
	p := Proxy(t, echo(t))
	c := dial(t, p.Addr())
	mustAnswer(t, c, "one")
	if n := p.Conns(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	for range 2 { // cut twice is cut once
		p.Cut()
	}
	if got, err := c.ask("two", 10*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("through a cut connection: %q, %v, want a reset", got, err)
	}
	if conn, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection while cut: %v, %v, want it refused", conn, err)
	}
	for range 2 {
		p.Restore()
	}
	mustAnswer(t, dial(t, p.Addr()), "three")
}

func TestProxyStall(t *testing.T) {
	p := Proxy(t, "tcp://"+echo(t))
	old := dial(t, p.Addr())
	mustAnswer(t, old, "one")
	p.Stall()
	p.Stall()
	if got, err := old.ask("two", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("through a stalled connection: %q, %v, want silence", got, err)
	}
	fresh := dial(t, p.Addr())
	if got, err := fresh.ask("three", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("through a new connection: %q, %v, want silence", got, err)
	}
	p.Restore()
	for c, want := range map[*client]string{old: "two\n", fresh: "three\n"} {
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if got, err := c.r.ReadString('\n'); err != nil || got != want {
			t.Errorf("after the stall: %q, %v, want %q", got, err, want)
		}
	}
}

func TestProxyCutWhileStalled(t *testing.T) {
	p := Proxy(t, echo(t))
	c := dial(t, p.Addr())
	p.Stall()
	if _, err := c.ask("one", 20*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("stalled: %v", err)
	}
	p.Cut()
	if got, err := c.ask("two", 10*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("cut: %q, %v, want a reset", got, err)
	}
	p.Restore()
	mustAnswer(t, dial(t, p.Addr()), "three")
}

func TestProxyResetKeepsAccepting(t *testing.T) {
	p := Proxy(t, echo(t))
	c := dial(t, p.Addr())
	mustAnswer(t, c, "one")
	p.Reset()
	if got, err := c.ask("two", 10*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("through a reset connection: %q, %v", got, err)
	}
	mustAnswer(t, dial(t, p.Addr()), "three")
}

func TestProxyPassesAnOrderlyEndOn(t *testing.T) {
	p := Proxy(t, echo(t))
	c := dial(t, p.Addr())
	mustAnswer(t, c, "bye")
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("after the server's end: %v, want EOF", err)
	}
	c.Close()
	Eventually(t, 10*time.Second, func() bool { return p.Conns() == 0 }, "the connection is still there")
}

func TestProxyOfAClosedPortEndsConnections(t *testing.T) {
	dead := Proxy(t, "127.0.0.1:1")
	if got, err := dial(t, dead.Addr()).ask("one", 10*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v", got, err)
	}
	if got := dead.URL("redis://u:p@example.com:6379/3?a=b"); got != "redis://u:p@"+dead.Addr()+"/3?a=b" {
		t.Errorf("URL = %q", got)
	}
}
