package bayeux

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

// hubShards is the number of locks the streams are spread over.
const hubShards = 32

// hub finds the subscriptions that a stream feeds. A hub lock is taken before a session's, never
// after it.
type hub struct {
	seed     maphash.Seed
	shards   [hubShards]hubShard
	patterns atomic.Int64
	total    atomic.Int64
}

type hubShard struct {
	mu      sync.RWMutex
	streams map[string]map[string]*group
	peak    int // the most streams since the map was made
}

// group holds the subscriptions to one name fed by one stream; all of them get the same frame.
type group struct {
	name     string
	numbered bool // the frame carries its position
	subs     []*subscription
}

// groupKey names a subscription's group among those of its stream. No channel name holds a space.
func (sub *subscription) groupKey() string {
	if sub.numbered {
		return sub.name + " numbered"
	}
	return sub.name
}

func newHub() *hub {
	h := &hub{seed: maphash.MakeSeed()}
	for i := range h.shards {
		h.shards[i].streams = make(map[string]map[string]*group)
	}
	return h
}

func (h *hub) shard(stream string) *hubShard {
	return &h.shards[maphash.String(h.seed, stream)%hubShards]
}

// add puts a subscription in; one that is in stays.
func (h *hub) add(sub *subscription) {
	sh := h.shard(sub.stream)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sub.group != nil {
		return
	}
	names := sh.streams[sub.stream]
	if names == nil {
		names = make(map[string]*group)
		sh.streams[sub.stream] = names
	}
	g := names[sub.groupKey()]
	if g == nil {
		g = &group{name: sub.name, numbered: sub.numbered}
		names[sub.groupKey()] = g
	}
	sub.group, sub.position = g, len(g.subs)
	g.subs = append(g.subs, sub)
	h.total.Add(1)
	if sub.pattern {
		h.patterns.Add(1)
	}
}

// remove takes a subscription out; one that is not in is no error.
func (h *hub) remove(sub *subscription) {
	sh := h.shard(sub.stream)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	g := sub.group
	if g == nil {
		return
	}
	last := len(g.subs) - 1
	g.subs[sub.position] = g.subs[last]
	g.subs[sub.position].position = sub.position
	g.subs[last] = nil
	g.subs = g.subs[:last]
	if cap(g.subs) > 256 && last < cap(g.subs)/4 {
		g.subs = slices.Clip(slices.Clone(g.subs))
	}
	sub.group = nil
	h.total.Add(-1)
	if sub.pattern {
		h.patterns.Add(-1)
	}
	if last == 0 {
		delete(sh.streams[sub.stream], sub.groupKey())
		if len(sh.streams[sub.stream]) == 0 {
			delete(sh.streams, sub.stream)
			sh.streams = shrunk(sh.streams, &sh.peak)
		}
	}
}

// each calls f for every group that the stream feeds, under the shard's lock: f may lock sessions
// and must not change the hub.
func (h *hub) each(stream string, f func(*group)) {
	sh := h.shard(stream)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for _, g := range sh.streams[stream] {
		f(g)
	}
}

// all returns every subscription.
func (h *hub) all() []*subscription {
	var subs []*subscription
	for i := range h.shards {
		sh := &h.shards[i]
		sh.mu.RLock()
		for _, names := range sh.streams {
			for _, g := range names {
				subs = append(subs, g.subs...)
			}
		}
		sh.mu.RUnlock()
	}
	return subs
}
