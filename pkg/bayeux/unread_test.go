package bayeux

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gorilla/websocket"
)

func TestReadAllReadsAll(t *testing.T) {
	u := unread{max: 1 << 20, perAddress: 1 << 20}
	for _, size := range []int{0, 1, unreadPiece - 1, unreadPiece, unreadPiece + 1, 100_000} {
		want := bytes.Repeat([]byte("x"), size)
		for _, r := range []io.Reader{bytes.NewReader(want), iotest.DataErrReader(bytes.NewReader(want)), iotest.HalfReader(bytes.NewReader(want))} {
			got, err := u.readAll("a", r)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes: got %d, %v", size, len(got), err)
			}
		}
	}
	if u.all != 0 || len(u.of) != 0 {
		t.Errorf("%d bytes are still counted, of %d networks", u.all, len(u.of))
	}
}

// halfSent is a reader that brings so many bytes and then waits.
type halfSent struct {
	bytes  io.Reader
	waits  chan<- struct{} // gets one when the bytes are read
	resume <-chan struct{}
}

func (p *halfSent) Read(b []byte) (int, error) {
	n, err := p.bytes.Read(b)
	if errors.Is(err, io.EOF) {
		p.waits <- struct{}{}
		<-p.resume
	}
	return n, err
}

func TestUnreadIsBoundedByNetworkAndInAll(t *testing.T) {
	const piece = unreadPiece
	u := unread{max: 8 * piece, perAddress: 2 * piece}
	waits, resume, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	hold := func(addr string) error {
		go func() {
			_, err := u.readAll(addr, &halfSent{strings.NewReader("half"), waits, resume})
			ended <- err
		}()
		select {
		case <-waits:
			return nil
		case err := <-ended:
			return err
		}
	}
	held := 0
	for _, step := range []struct {
		addr string
		want error
	}{
		{"a", nil}, {"a", nil}, {"a", errUnread}, // an address
		{network64(0), nil}, {network64(0), nil}, {network64(0), errUnread}, // a /64
		{network64(1), nil}, {network64(2), nil}, {network64(3), errUnread}, // its /48
		{"b", nil}, {"c", nil}, {"d", errUnread}, // all
	} {
		err := hold(step.addr)
		if !errors.Is(err, step.want) {
			t.Fatalf("%s: %v, want %v", step.addr, err, step.want)
		}
		if err == nil {
			held++
		}
	}
	close(resume)
	for range held {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if u.all != 0 || len(u.of) != 0 {
		t.Errorf("%d bytes are still counted, of %d networks", u.all, len(u.of))
	}
}

// Half-sent messages of many sockets hold a bounded number of bytes, and the sockets of those that
// are too many are closed.
func TestUnfinishedMessagesAreBounded(t *testing.T) {
	const sockets = 40
	s := start(t, Options{Address: from, MaxUnread: 1 << 20, MaxUnreadPerAddress: 256 << 10, BodyTimeout: time.Hour})
	for range sockets {
		conn, _ := s.tryDial("a")
		w, err := conn.NextWriter(websocket.TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		// Fragments go out as the buffer fills; the last one never does.
		_, _ = w.Write(bytes.Repeat([]byte(" "), 60<<10)) // fails where the socket was closed
	}
	eventually(t, "the sockets that are too many are closed", func() bool { return s.srv.Stats().Sockets <= 4 })
	s.srv.unread.mu.Lock()
	most := s.srv.unread.most
	s.srv.unread.mu.Unlock()
	if most > 256<<10 {
		t.Errorf("one address held %d bytes", most)
	}
	if r := s.postFrom("b", shake); r["successful"] != true {
		t.Error("another address suffers:", r)
	}
}

// Pongs between the fragments of a message do not make it last.
func TestAMessageThatDoesNotEndIsCut(t *testing.T) {
	s := start(t, Options{BodyTimeout: 50 * time.Millisecond, PingEvery: 10 * time.Second, IdleSocket: time.Hour})
	conn, _ := s.tryDial("a")
	if err := writeFragment(conn); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the socket is cut", func() bool {
		// An error says that the socket is gone, which the condition sees.
		_ = conn.WriteControl(websocket.PongMessage, nil, time.Now().Add(time.Second))
		return s.srv.Stats().Sockets == 0
	})
}

// writeFragment sends the first part of a message, masked with zeros, and leaves the rest out.
func writeFragment(conn *websocket.Conn) error {
	_, err := conn.NetConn().Write([]byte{0x01, 0x80 | 4, 0, 0, 0, 0, '[', ' ', ' ', ' '})
	return err
}

// A body that would be too many is answered, and another address's is not affected.
func TestUnfinishedBodiesAreBounded(t *testing.T) {
	s := start(t, Options{MaxUnread: 1 << 20, MaxUnreadPerAddress: 8 * unreadPiece, Address: from})
	var conns []net.Conn
	answered := make(chan struct{}, 20)
	for range cap(answered) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.web.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
		if _, err := io.WriteString(conn, "POST /faye HTTP/1.1\r\nHost: x\r\nFrom: a\r\nContent-Length: 60000\r\n\r\n["); err != nil {
			t.Fatal(err)
		}
		go func() {
			first := make([]byte, 12)
			if _, err := io.ReadFull(conn, first); err == nil && string(first) == "HTTP/1.1 503" {
				answered <- struct{}{}
			}
		}()
	}
	for range cap(answered) - 8 {
		<-answered
	}
	if r := s.postFrom("b", shake); r["successful"] != true {
		t.Error("another address suffers:", r)
	}
	for _, conn := range conns {
		conn.Close()
	}
	eventually(t, "nothing is counted any more", func() bool {
		s.srv.unread.mu.Lock()
		defer s.srv.unread.mu.Unlock()
		return s.srv.unread.all == 0
	})
}
