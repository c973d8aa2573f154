package fake

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"
)

const (
	downloads = "/_download/"
	control   = "/_fake/"
)

// ask is a request as it was understood. It lives as long as its request.
type ask struct {
	Request
	r     *http.Request
	id    string // of the upload
	to    string // the entry that is copied to
	fault *Fault
	body  *counter
}

// counter counts what was read of a body: a fault test asserts that a part was cut in the middle.
type counter struct {
	io.ReadCloser
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

// understand takes a request's path apart. What it does not know stays OpUnknown and is answered
// 404; tests fail when one was asked, since then the adapter speaks to a service that does not
// exist.
func understand(r *http.Request) *ask {
	a := &ask{Request: Request{Op: OpUnknown}, r: r, body: &counter{ReadCloser: r.Body}}
	// Before anything is read, so that no byte goes uncounted.
	r.Body = a.body
	if rest, found := strings.CutPrefix(r.URL.Path, downloads); found && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		a.Op = OpDownload
		a.Bucket, a.Key, _ = strings.Cut(rest, "/")
		return a
	}
	// Paths hold bucket and key in URL-safe base64, so that a key's slashes are none of the path.
	seg := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/":
		a.Op = OpForm
	case seg[0] == "buckets" && len(seg) >= 5 && seg[2] == "objects" && seg[4] == "uploads":
		a.parts(seg)
	case r.Method == http.MethodGet && seg[0] == "stat" && len(seg) == 2:
		a.entry(OpStat, seg[1])
	case r.Method == http.MethodPost && seg[0] == "delete" && len(seg) == 2:
		a.entry(OpDelete, seg[1])
	case r.Method == http.MethodPost && seg[0] == "copy" && (len(seg) == 3 || len(seg) == 5 && seg[3] == "force"):
		a.entry(OpCopy, seg[1])
		a.to = decode(seg[2])
	case r.Method == http.MethodPost && (seg[0] == "deleteAfterDays" || seg[0] == "lifecycle") && len(seg) >= 3:
		a.entry(OpExpire, seg[1])
	case r.Method == http.MethodGet && seg[0] == "list" && len(seg) == 1:
		a.Op = OpList
		a.Bucket = r.URL.Query().Get("bucket")
		a.Key = r.URL.Query().Get("prefix")
	}
	return a
}

// parts understands /buckets/<bucket>/objects/<key>/uploads[/<id>[/<part>]]. The method and the
// number of segments say which of the five requests it is.
func (a *ask) parts(seg []string) {
	a.Bucket, a.Key = seg[1], decode(seg[3])
	if len(seg) > 5 {
		a.id = seg[5]
	}
	if len(seg) > 6 {
		a.Part, _ = strconv.Atoi(seg[6])
	}
	switch {
	case len(seg) == 5 && a.r.Method == http.MethodPost:
		a.Op = OpInit
	case len(seg) == 6 && a.r.Method == http.MethodPost:
		a.Op = OpComplete
	case len(seg) == 6 && a.r.Method == http.MethodGet:
		a.Op = OpParts
	case len(seg) == 6 && a.r.Method == http.MethodDelete:
		a.Op = OpAbort
	case len(seg) == 7 && a.r.Method == http.MethodPut && a.Part > 0:
		a.Op = OpPart
	}
}

// entry understands bucket:key, which names an object in all requests that manage one.
func (a *ask) entry(op Op, encoded string) {
	a.Op = op
	a.Bucket, a.Key, _ = strings.Cut(decode(encoded), ":")
}

// decode returns "" for what is no base64: no object has that key, so the answer is the right one.
func decode(text string) string {
	b, err := base64.URLEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	return string(b)
}

// ServeHTTP implements http.Handler. All of Kodo's services are here: up, rs, rsf and the
// downloads.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, control) {
		s.control(w, r)
		return
	}
	a := understand(r)
	if a.Op == OpForm {
		s.form(w, a) // which object it is stands in its body
		return
	}
	a.fault = s.fault(a.Request)
	s.serve(w, a, func(w http.ResponseWriter) { s.answer(w, a) })
}

// serve answers with do, or as the fault wants it, and records it. Faults that change what is
// stored or answered (Lie, Damage, Lose) are the operations' own business; those here are about the
// connection.
func (s *Server) serve(w http.ResponseWriter, a *ask, do func(http.ResponseWriter)) {
	out := &recorder{ResponseWriter: w}
	if a.fault != nil {
		a.Fault = a.fault.Kind
	}
	// Deferred, since some faults end in a panic that aborts the connection.
	defer func() {
		a.Bytes, a.Status = a.body.n, out.status
		s.record(a.Request)
	}()
	switch {
	// The body is read to its end: otherwise Go's client may see a reset instead of the answer.
	case a.fault.is(Refuse):
		_, _ = io.Copy(io.Discard, a.r.Body)
		text := a.fault.Text
		if text == "" {
			text = "refused by the fake"
		}
		answerJSON(out, a.fault.Status, map[string]string{"error": text})
	case a.fault.is(Hijack):
		_, _ = io.Copy(io.Discard, a.r.Body)
		out.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(out, "<html>please log in to the network</html>")
	case a.fault.is(Stall):
		s.half(a)
		s.mu.Lock()
		s.stalled++
		s.mu.Unlock()
		select {
		case <-a.r.Context().Done():
		case <-s.closed:
		}
		cutOff(w)
	case a.fault.is(Cut) && a.Op != OpDownload:
		s.half(a)
		cutOff(w)
	case a.fault.is(Drop):
		// Done in full, and the answer thrown away: the client can't know that it worked.
		do(httptest.NewRecorder())
		cutOff(w)
	case a.fault.is(Slow):
		do(&slow{out, a.fault.Delay, a.r.Context().Done()})
	default:
		do(out)
	}
}

// half reads half of a body, so that a fault finds the client in the middle of it, or the beginning
// of one of unknown length.
func (s *Server) half(a *ask) {
	n := a.r.ContentLength / 2
	if a.r.ContentLength < 0 {
		n = 512
	}
	_, _ = io.CopyN(io.Discard, a.r.Body, n)
}

// answer does what is asked. Downloads write by themselves, since they are no JSON.
func (s *Server) answer(w http.ResponseWriter, a *ask) {
	var got any
	var err error
	switch a.Op {
	case OpDownload:
		err = s.download(w, a)
		if err == nil {
			return
		}
	case OpInit, OpPart, OpParts, OpComplete, OpAbort:
		got, err = s.upload(a)
	case OpStat, OpCopy, OpDelete, OpList, OpExpire:
		got, err = s.manage(a)
	default:
		err = fail(http.StatusNotFound, "no such interface")
	}
	finish(w, got, err)
}

// finish answers with a result or an error in Kodo's form. 599 is Kodo's own code for an internal
// error.
func finish(w http.ResponseWriter, got any, err error) {
	var f *failure
	switch {
	case errors.As(err, &f):
		answerJSON(w, f.status, map[string]string{"error": f.text})
	case err != nil: // the client is gone, or our disk is full
		answerJSON(w, 599, map[string]string{"error": err.Error()})
	default:
		answerJSON(w, http.StatusOK, got)
	}
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // our own types
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Reqid", rand.Text()[:16])
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// recorder remembers the status, for the list of requests.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// slow sends an answer in eight pieces, as a connection that hardly moves: slower than any deadline
// for the whole, never still long enough for one between two bytes.
type slow struct {
	*recorder
	delay time.Duration
	gone  <-chan struct{}
}

func (s *slow) Write(p []byte) (int, error) {
	piece := max(1, (len(p)+7)/8)
	for done := 0; done < len(p); done += piece {
		select {
		case <-time.After(s.delay):
		case <-s.gone:
			return done, http.ErrAbortHandler
		}
		if _, err := s.recorder.Write(p[done:min(done+piece, len(p))]); err != nil {
			return done, err
		}
		_ = http.NewResponseController(s.recorder).Flush()
	}
	return len(p), nil
}
