package bayeux

import (
	"errors"
	"io"
	"sync"
)

// unread counts the bytes of bodies and messages that have not come whole, which their senders can
// leave in memory for a while. What has come whole is carried out at once and counts no more.
type unread struct {
	max, perAddress int64

	mu   sync.Mutex
	all  int64
	of   map[string]int64 // by network; what has none is not there
	most int64            // that was counted at once
}

// errUnread says that too much has not come whole.
var errUnread = errors.New("bayeux: too many bodies and messages are unfinished")

// unreadPiece is what is read, and counted, at once. Memory is taken as bytes come and not as they
// are announced.
const unreadPiece = 4 << 10

// readAll is io.ReadAll within the bounds.
func (u *unread) readAll(addr string, r io.Reader) ([]byte, error) {
	names := networks(addr)
	held := int64(0)
	defer func() { u.give(names, held) }()
	var body []byte
	for {
		if len(body) == cap(body) {
			// Doubled, as append does, and counted before it is taken.
			more := max(unreadPiece, int64(cap(body)))
			if !u.take(names, more) {
				return nil, errUnread
			}
			held += more
			grown := make([]byte, len(body), int64(cap(body))+more)
			copy(grown, body)
			body = grown
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// take counts so many bytes for the networks, and reports false where they would be too many.
func (u *unread) take(names []string, n int64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all+n > u.max {
		return false
	}
	for i, name := range names {
		if u.of[name]+n > u.perAddress*int64(networkFactor[i]) {
			return false
		}
	}
	if u.of == nil {
		u.of = make(map[string]int64)
	}
	u.all += n
	u.most = max(u.most, u.all)
	for _, name := range names {
		u.of[name] += n
	}
	return true
}

func (u *unread) give(names []string, n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all -= n
	for _, name := range names {
		if u.of[name] -= n; u.of[name] <= 0 {
			delete(u.of, name)
		}
	}
}
