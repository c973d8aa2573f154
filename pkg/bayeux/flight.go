package bayeux

// flight holds what was written to a socket and is not yet known to have arrived, oldest first. Its zero value is empty.
type flight struct {
	entries []entry
	bytes   int
	last    uint64 // number of the newest message ever added; the entries carry the numbers up to it
}

// add appends messages and returns the number of the last. Beyond the limits the oldest are taken for delivered.
func (f *flight) add(batch []entry, lim limits) uint64 {
	for i := range batch {
		f.last++
		batch[i].number = f.last
		f.bytes += len(batch[i].frame.array)
	}
	f.entries = append(f.entries, batch...)
	drop := 0
	for size := f.bytes; drop < len(f.entries)-1 && (len(f.entries)-drop > lim.messages || size > lim.bytes); drop++ {
		size -= len(f.entries[drop].frame.array)
	}
	f.drop(drop)
	return f.last
}

// prove forgets the messages up to that number.
func (f *flight) prove(last uint64) {
	if last > f.last {
		return // a pong of the client's own making
	}
	if left := f.last - last; left < uint64(len(f.entries)) {
		f.drop(len(f.entries) - int(left))
	}
}

func (f *flight) drop(n int) {
	for i := range f.entries[:n] {
		f.bytes -= len(f.entries[i].frame.array)
		f.entries[i] = entry{}
	}
	f.entries = f.entries[n:]
	if len(f.entries) == 0 {
		f.entries = nil
	}
}

func (f *flight) all() []entry { return f.entries }

func (f *flight) clear() { f.entries, f.bytes = nil, 0 }
