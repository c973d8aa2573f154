package fake

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options say which account the server plays. All but Now are required; Start fills Dir.
type Options struct {
	AccessKey, SecretKey string
	Buckets              []Bucket
	Dir                  string // for the objects' bytes; made if it is not there
	Now                  func() time.Time
}

// Bucket is one bucket. Our programs use two, and never a public one for exports.
type Bucket struct {
	Name   string
	Public bool // downloads need no signature
}

// Server is the fake; it is an http.Handler. Objects are lost when the process ends, even where Dir
// stays: which there are is in memory only.
type Server struct {
	o Options

	mu       sync.Mutex
	objects  map[string]map[string]Object // by bucket and key
	uploads  map[string]*Upload           // by id
	requests []Request
	faults   []*Fault
	stalled  int
	closed   chan struct{}
	once     sync.Once
}

// Object is a stored object. Its JSON is what GET /_fake/objects answers.
type Object struct {
	Key      string
	Size     int64
	Hash     string // Kodo's
	MimeType string
	PutTime  time.Time

	file string
}

// Upload is an unfinished upload in parts. The real Kodo has no request that lists them all; tests
// need one to find what was left behind.
type Upload struct {
	ID, Bucket, Key string
	Parts           map[int]Part
}

// Part is a part that has arrived. It keeps the sums of its blocks, of which the finished object's
// hash is made without reading the bytes again.
type Part struct {
	Size      int64
	Etag, MD5 string

	file string
	sums [][]byte // SHA-1 of each 4 MiB
}

// Request is what was asked and answered. Tests count these to show that nothing is sent twice.
type Request struct {
	Op          Op
	Bucket, Key string
	Part        int
	Status      int   // 0 when the connection was cut
	Bytes       int64 // of the body that were read
	Fault       Kind  // what was injected, if anything
}

// maxRequests is how many of the last requests are kept: a fake that runs for days under `make up`
// must not grow.
const maxRequests = 20_000

// New returns a server, which listens to nothing yet: it is an http.Handler.
func New(o Options) (*Server, error) {
	if o.AccessKey == "" || o.SecretKey == "" || len(o.Buckets) == 0 || o.Dir == "" {
		return nil, fmt.Errorf("fake qiniu: access key, secret key, buckets and directory are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("fake qiniu: %w", err)
	}
	s := &Server{o: o, objects: map[string]map[string]Object{}, uploads: map[string]*Upload{}, closed: make(chan struct{})}
	for _, b := range o.Buckets {
		s.objects[b.Name] = map[string]Object{}
	}
	return s, nil
}

// Close ends the requests that a fault has made stand still. An http.Server would wait for them for
// ever. Closing twice is fine.
func (s *Server) Close() { s.once.Do(func() { close(s.closed) }) }

// Running is a server that listens.
type Running struct {
	*Server
	URL string // of every service, http://127.0.0.1:port
}

// Start runs a server on a free port of the loopback until the test ends. Without a Dir the bytes
// are in a directory of the test.
func Start(t testing.TB, o Options) *Running {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	// In this order: the server's Close waits for requests, and a stalled one ends only by ours.
	t.Cleanup(func() {
		s.Close()
		server.CloseClientConnections()
		server.Close()
	})
	return &Running{s, server.URL}
}

// Domain is where a bucket's objects are downloaded.
func (r *Running) Domain(bucket string) string { return r.URL + downloads + bucket }

// Objects lists a bucket's objects in key order, without their bytes.
func (s *Server) Objects(bucket string) []Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Collect(maps.Values(s.objects[bucket]))
	slices.SortFunc(all, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// Bytes returns an object's content, past all signatures: what a test compares a download with.
func (s *Server) Bytes(bucket, key string) ([]byte, error) {
	// The file outlives its object while it is open, so the lock is not held for the reading.
	s.mu.Lock()
	object, found := s.objects[bucket][key]
	s.mu.Unlock()
	if !found {
		return nil, os.ErrNotExist
	}
	return os.ReadFile(object.file)
}

// Uploads lists the unfinished uploads, by id. Tests of clean-up end with this list empty.
func (s *Server) Uploads() []Upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []Upload{}
	for _, u := range s.uploads {
		// A copy, since parts go on arriving.
		c := *u
		c.Parts = maps.Clone(u.Parts)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Upload) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Requests returns the last requests, the oldest first; ops, when given, picks. A request is in the
// list when it has been answered, so one that stands still is not.
func (s *Server) Requests(ops ...Op) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []Request{}
	for _, r := range s.requests {
		if len(ops) == 0 || slices.Contains(ops, r.Op) {
			all = append(all, r)
		}
	}
	return all
}

// ClearRequests empties the list of requests, so that a test counts only what comes after.
func (s *Server) ClearRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// Stalled is how many requests have been made to stand still so far. Tests wait for it to grow
// before they cancel or kill, which proves that the fault has hit.
func (s *Server) Stalled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stalled
}

// record drops the oldest request when the list is full.
func (s *Server) record(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests = append(s.requests, r); len(s.requests) > maxRequests {
		s.requests = s.requests[1:]
	}
}

// newFile makes a file under a random name. Keys can't be used: the disk's rules for names are
// others than Kodo's, and copies share a file.
func (s *Server) newFile() (*os.File, error) {
	return os.OpenFile(filepath.Join(s.o.Dir, rand.Text()), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

func (s *Server) public(bucket string) bool {
	return slices.ContainsFunc(s.o.Buckets, func(b Bucket) bool { return b.Name == bucket && b.Public })
}

// store makes an object of a file, which is the server's from here on: it is removed with the
// object.
func (s *Server) store(bucket string, o Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.PutTime = s.o.Now()
	// Removed only after the new one is in place, and never while a copy still has its bytes.
	old := s.objects[bucket][o.Key]
	s.objects[bucket][o.Key] = o
	s.release(old.file)
}

// release removes the bytes of an object that is gone, unless a copy shares them. Downloads of them
// go on, since they hold the file open. The caller holds the lock.
func (s *Server) release(file string) {
	// Looked through instead of counted: there are few objects, and a wrong count would be a second
	// fault under test.
	for _, objects := range s.objects {
		for _, o := range objects {
			if o.file == file {
				return
			}
		}
	}
	if file != "" {
		_ = os.Remove(file)
	}
}

var _ http.Handler = (*Server)(nil)
