package bayeux

import (
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Sockets that never answer the close frame cost a few timers each, and not a core: a timer that
// was set to a time that had passed used to fire without a pause until the socket was gone.
func TestClosingSocketsCostFewTimers(t *testing.T) {
	const sockets = 3000
	s := start(t, Options{IdleSocket: 50 * time.Millisecond, WriteTimeout: 100 * time.Millisecond})
	for range sockets {
		// The client is there and reads nothing, so it never answers.
		conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	eventually(t, "all are cut", func() bool { return s.srv.Stats().Sockets == 0 })
	if fired := s.srv.Timers().Fired; fired > 6*sockets {
		t.Errorf("%d timers fired for %d sockets", fired, sockets)
	}
}
