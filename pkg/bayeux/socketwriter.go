package bayeux

import (
	"bytes"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"exporthub/pkg/bayeux/internal/queue"
)

// errand is what the writer does next.
type errand struct {
	replies   [][]byte
	messages  []queue.Entry
	last      uint64
	apart     bool     // the messages, in a frame each
	late      [][]byte // replies after the messages
	heartbeat bool
	ping      bool
	closing   bool
	code      int
}

// write writes what is queued until there is nothing left. It is the only writer of the connection.
func (k *socket) write() {
	defer k.srv.finish()
	for {
		e, ok := k.next()
		if !ok {
			return
		}
		if err := k.carryOut(&e); err != nil {
			k.cut() // the reader sees it and gives the messages back
		}
	}
}

// next collects replies from the socket and messages from its session.
func (k *socket) next() (errand, bool) {
	k.mu.Lock()
	if !k.dirty || k.gone || k.parted {
		k.writing = false
		k.mu.Unlock()
		return errand{}, false
	}
	k.dirty, k.parted = false, k.closing
	e := errand{
		replies:   k.replies,
		apart:     k.apart,
		heartbeat: k.heartbeat,
		ping:      k.ping,
		closing:   k.closing,
		code:      k.closeCode,
	}
	k.replies = nil
	k.size = 0
	k.heartbeat = false
	k.ping = false
	sess, late := k.sess, len(k.late)
	k.mu.Unlock()
	more := false
	if sess != nil && !e.closing {
		e.messages, e.last, more = sess.takeFor(k, maxSocketFrame)
	}
	k.mu.Lock()
	if more {
		k.dirty = true
	} else {
		late = min(late, len(k.late)) // none are left when it was cut meanwhile
		e.late = k.late[:late:late]
		k.late = k.late[late:]
		k.apart = false
	}
	k.mu.Unlock()
	return e, true
}

func (k *socket) carryOut(e *errand) error {
	deadline := time.Now().Add(k.srv.opt.WriteTimeout)
	if err := k.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if e.heartbeat {
		if err := k.conn.WriteMessage(websocket.TextMessage, []byte("[]")); err != nil {
			return err
		}
	}
	if err := k.writeMessages(e); err != nil {
		return err
	}
	if len(e.messages) > 0 {
		k.mu.Lock()
		k.written = e.last
		k.mu.Unlock()
		k.srv.clock.SetBy(&k.timer, time.Now().Add(k.srv.opt.ProofAfter))
	}
	// An end is asked for at once: a client that is cut later must not get it again.
	if e.ping || slices.ContainsFunc(e.messages, func(m queue.Entry) bool { return m.Final }) {
		k.mu.Lock()
		k.asked = k.written
		payload := strconv.AppendUint(nil, k.written, 10)
		k.mu.Unlock()
		if err := k.conn.WriteControl(websocket.PingMessage, payload, deadline); err != nil {
			return err
		}
	}
	if e.closing {
		return k.goodbye(e.code, deadline)
	}
	return nil
}

// frames are buffers for frames of several messages.
var frames = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// writeMessages sends replies, then messages, then late replies, in as few frames as are allowed.
func (k *socket) writeMessages(e *errand) error {
	if e.apart {
		if err := k.writeFrame(&errand{replies: e.replies}); err != nil {
			return err
		}
		for i := range e.messages {
			if err := k.conn.WritePreparedMessage(e.messages[i].Frame.Socket()); err != nil {
				return err
			}
		}
	} else if err := k.writeFrame(e); err != nil {
		return err
	}
	return k.writeFrame(&errand{replies: e.late})
}

// writeFrame sends replies, then messages, in one frame. A single message goes as the frame that
// all its receivers share.
func (k *socket) writeFrame(e *errand) error {
	switch {
	case len(e.replies) == 0 && len(e.messages) == 0:
		return nil
	case len(e.replies) == 0 && len(e.messages) == 1:
		return k.conn.WritePreparedMessage(e.messages[0].Frame.Socket())
	}
	b := frames.Get().(*bytes.Buffer)
	defer frames.Put(b)
	b.Reset()
	open := byte('[')
	for _, reply := range e.replies {
		b.WriteByte(open)
		b.Write(reply)
		open = ','
	}
	for i := range e.messages {
		b.WriteByte(open)
		b.Write(e.messages[i].Frame.Object())
		open = ','
	}
	b.WriteByte(']')
	return k.conn.WriteMessage(websocket.TextMessage, b.Bytes())
}

// closeWait is how long a client may take to answer the close frame.
const closeWait = 2 * time.Second

// goodbye sends the close frame and leaves the client a moment to answer it, after which the reader
// ends.
func (k *socket) goodbye(code int, deadline time.Time) error {
	if err := k.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), deadline); err != nil {
		return err
	}
	return k.conn.SetReadDeadline(time.Now().Add(min(k.srv.opt.WriteTimeout, closeWait)))
}
