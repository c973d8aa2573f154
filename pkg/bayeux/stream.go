package bayeux

import (
	"bytes"
	"context"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"exporthub/pkg/bayeux/internal/protocol"
)

const (
	// maxStreamWrite is about the size up to which waiting messages are written to an event stream
	// at once.
	maxStreamWrite = 64 << 10
	// streamRetry is what a browser has to wait before it opens a lost stream again.
	streamRetry = "retry: 5000\n\n"
	// streamReturn is what it has to wait when a stream is ended for it to come back and report
	// what it received.
	streamReturn = "retry: 100\n\n"
)

// stream is one event stream (EventSource): the downstream of a session whose client sends by
// requests of their own. The goroutine of its request is its only writer.
type stream struct {
	sess *session
	wake chan struct{} // holds one token when there is something to look for

	mu       sync.Mutex
	over     bool   // another stream has taken its place, or the session has ended
	farewell []byte // the last message, nil for none
}

// wantsStream reports whether a request asks for an event stream.
func wantsStream(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	for _, header := range r.Header.Values("Accept") {
		for field := range strings.SplitSeq(header, ",") {
			kind, _, _ := strings.Cut(field, ";")
			if strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
				return true
			}
		}
	}
	return false
}

// serveStream carries the session named by the last segment of the path. An unknown one is answered
// with 404, at which a browser stops asking.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request, o origin) {
	if !s.begin() {
		s.unavailable(w)
		return
	}
	defer s.finish()
	x := &exchange{srv: s, ctx: r.Context(), req: Request{HTTP: r, CookieCounts: o.cookieCounts}}
	sess := x.find(&protocol.Message{ClientID: path.Base(r.URL.Path)})
	if sess == nil || !s.alive(r.Context(), sess) {
		plain(w, http.StatusNotFound, "Unknown client")
		return
	}
	k := &stream{sess: sess, wake: make(chan struct{}, 1)}
	received, err := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64)
	if !sess.bindStream(k, received, err == nil) {
		plain(w, http.StatusNotFound, "Unknown client")
		return
	}
	defer sess.unbind(k)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx would collect events otherwise
	out := &streamWriter{w: w, control: http.NewResponseController(w), patience: s.opt.WriteTimeout}
	// Not every ResponseWriter can; a server's own limit then ends the stream early.
	_ = out.control.SetReadDeadline(time.Time{})
	out.buf.WriteString(streamRetry)
	if out.send() != nil {
		return
	}
	k.run(r.Context(), out, s.opt.StreamPing)
}

// run writes what comes until the client goes, another stream takes over or the session ends.
// A server learns nothing of what has arrived on a stream, short of the Last-Event-ID with which a
// browser comes back: what can be written may still wait in buffers on the way, for good. So a
// stream that has brought much is ended for the browser to come back and report it.
func (k *stream) run(ctx context.Context, out *streamWriter, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			out.buf.WriteString(":\n\n")
			if out.send() != nil {
				return
			}
			continue
		case <-k.wake:
		}
		if err := k.drain(out); err != nil {
			return
		}
		if over, farewell := k.ended(); over {
			if farewell != nil {
				out.event(nil, farewell)
				_ = out.send() // the client may have gone; the stream ends either way
			}
			return
		}
		if k.sess.mustTell(k) {
			out.buf.WriteString(streamReturn)
			_ = out.send() // likewise
			return
		}
	}
}

// drain writes what waits for the session.
func (k *stream) drain(out *streamWriter) error {
	for {
		batch, n, more := k.sess.takeFor(k, maxStreamWrite)
		for i := range batch {
			id := strconv.AppendUint(nil, n-uint64(len(batch)-1-i), 10)
			out.event(id, batch[i].Frame.Array())
		}
		if len(batch) > 0 {
			if err := out.send(); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
	}
}

func (k *stream) ended() (bool, []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.over, k.farewell
}

// kick implements carrier.
func (k *stream) kick() {
	select {
	case k.wake <- struct{}{}:
	default: // it is about to look
	}
}

// push implements carrier. A stream holds no connect, so there is never a reply for it.
func (k *stream) push([]byte) {}

// pushLast implements carrier, likewise.
func (k *stream) pushLast([]byte) {}

// close implements carrier. The client of a session that has ended would notice only with its next
// connect, a whole timeout later, so it is notified.
func (k *stream) close(why ending) {
	r := &protocol.Reply{Channel: protocol.MetaConnect}
	switch why {
	case destroyed:
		r.Advice = protocol.HandshakeNow(0)
	case overflowed, givenUp:
		r.Advice = protocol.HandshakeNow(k.sess.srv.later())
	case draining:
		r.Advice = protocol.HandshakeNow(k.sess.srv.drainPause())
	default:
		k.end(nil)
		return
	}
	r.Fail(protocol.UnknownClient(""))
	k.end(append(append([]byte{'['}, r.Encode()...), ']'))
}

func (k *stream) end(farewell []byte) {
	k.mu.Lock()
	if !k.over {
		k.over, k.farewell = true, farewell
	}
	k.mu.Unlock()
	k.kick()
}

// bindStream makes k the session's carrier and reports false for a session that is over. What the
// client says it received is not sent again.
func (s *session) bindStream(k *stream, received uint64, reported bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.poll != nil {
		s.poll.end(replaced)
		s.poll = nil
	}
	s.releaseLocked(replaced)
	if s.standby != nil {
		s.standby.end(nil)
		s.standby = nil
	}
	if reported {
		// The browser names the last message that it processed, so what came after it did not
		// arrive, and is sent as it was.
		s.receivedLocked(s.sent.Prove(received))
		s.receivedLocked(s.out.Purge(received))
		s.out.PutBack(s.sent.All())
		s.sent.Clear()
	} else {
		s.recallLocked()
	}
	s.mute = !reported && (s.mute || s.asked)
	s.asked = false
	s.via = k
	if s.out.Len() > 0 {
		k.kick()
	}
	return true
}

// mustTell reports whether k has brought so much that its client is to come back and report what it
// received.
func (s *session) mustTell(k carrier) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.limits().Half()
	if s.closed || s.via != k || s.mute || !s.reportEnd && !s.sent.Exceeds(most) {
		return false
	}
	s.reportEnd = false
	s.asked = true
	return true
}

// streamConnect is a connect of a client whose messages come on an event stream: it says that the
// client lives, and that what was polled in between was received.
func (s *session) streamConnect(c connectRequest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.touchLocked()
	s.confirmEarlierLocked(c)
	if k := s.standby; k != nil {
		if s.poll != nil {
			s.poll.end(replaced)
			s.poll = nil
		}
		s.releaseLocked(replaced)
		s.via, s.standby = k, nil
	}
	if s.out.Len() > 0 {
		s.wakeLocked()
	}
	return true
}

// streamWriter writes events, each write within a bounded time.
type streamWriter struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	buf      bytes.Buffer
}

func (o *streamWriter) event(id, data []byte) {
	if id != nil {
		o.buf.WriteString("id: ")
		o.buf.Write(id)
		o.buf.WriteByte('\n')
	}
	o.buf.WriteString("data: ")
	o.buf.Write(data)
	o.buf.WriteString("\n\n")
}

func (o *streamWriter) send() error {
	_ = o.control.SetWriteDeadline(time.Now().Add(o.patience)) // likewise; a quiet stream has none
	if _, err := o.w.Write(o.buf.Bytes()); err != nil {
		return err
	}
	o.buf.Reset()
	if err := o.control.Flush(); err != nil {
		return err // also of a ResponseWriter that can't: its events would never come
	}
	_ = o.control.SetWriteDeadline(time.Time{})
	return nil
}
