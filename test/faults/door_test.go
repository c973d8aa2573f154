package faults

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// door is where clients come in: connections go to the first replica that takes them.
type door struct {
	listener net.Listener
	targets  []string
	all      sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newDoor(t testing.TB, targets ...string) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{listener: l, targets: targets, conns: map[net.Conn]bool{}}
	d.all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			d.all.Go(func() { d.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		d.mu.Lock()
		for conn := range d.conns {
			_ = conn.Close()
		}
		d.mu.Unlock()
		d.all.Wait()
	})
	return d
}

func (d *door) url() string { return "http://" + d.listener.Addr().String() }

func (d *door) serve(client net.Conn) {
	defer client.Close()
	for _, target := range d.targets {
		server, err := net.DialTimeout("tcp", target, time.Second)
		if err != nil {
			continue
		}
		d.mu.Lock()
		d.conns[client], d.conns[server] = true, true
		d.mu.Unlock()
		var back sync.WaitGroup
		back.Go(func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		})
		_, _ = io.Copy(client, server)
		_ = client.Close()
		back.Wait()
		d.mu.Lock()
		delete(d.conns, client)
		delete(d.conns, server)
		d.mu.Unlock()
		return
	}
}
