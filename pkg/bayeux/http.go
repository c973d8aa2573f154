package bayeux

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"exporthub/pkg/bayeux/internal/protocol"
)

// ServeHTTP answers everything at and below Options.Mount, and Options.Mount + ".js".
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, below := strings.CutPrefix(r.URL.Path, s.opt.Mount)
	if !below || rest != "" && rest != ".js" && rest[0] != '/' {
		notFound(w)
		return
	}
	upgrade := websocket.IsWebSocketUpgrade(r)
	if ext := path.Ext(rest); !upgrade && (ext == ".js" || ext == ".map") {
		s.serveAsset(w, r, rest)
		return
	}
	if s.over() {
		s.unavailable(w)
		return
	}
	o := s.origin(r)
	o.writeHeaders(w)
	switch {
	case upgrade && o.admitted:
		s.serveSocket(w, r, o)
	case r.Method == http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == http.MethodPost:
		o.preflight(w, r)
	case !o.admitted, isJSONP(r) && !s.admitsScript(r, o):
		plain(w, http.StatusForbidden, "Origin not allowed")
	case wantsStream(r):
		s.serveStream(w, r, o)
	case isJSONP(r):
		s.serveJSONP(w, r, o)
	case r.Method == http.MethodPost:
		s.servePost(w, r, o)
	default:
		plain(w, http.StatusBadRequest, "Bad request")
	}
}

// unavailable makes the client try again, here or on another replica.
func (s *Server) unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(s.opt.RetryAfter.Seconds()))))
	plain(w, http.StatusServiceUnavailable, "Try again later")
}

func isJSONP(r *http.Request) bool {
	return r.Method == http.MethodGet && !wantsStream(r) && r.URL.Query().Has("message")
}

func notFound(w http.ResponseWriter) { plain(w, http.StatusNotFound, "404 page not found\n") }

// plain answers outside the protocol, with text: node's HTTP transport takes any JSON for replies,
// whatever the status.
func plain(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache, no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a client that does not read it gets nothing else
}

func (s *Server) servePost(w http.ResponseWriter, r *http.Request, o origin) {
	// Not every ResponseWriter can.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.opt.BodyTimeout))
	body, err := s.unread.readAll(s.opt.Address(r), http.MaxBytesReader(w, r.Body, s.opt.MaxBody))
	if errors.Is(err, errUnread) {
		// Else net/http would wait for the rest of the body before it sends the answer.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
		w.Header().Set("Connection", "close")
		s.unavailable(w)
		return
	}
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			plain(w, http.StatusRequestEntityTooLarge, "Body too large")
			return
		}
		plain(w, http.StatusBadRequest, "Bad request")
		return
	}
	bodies := [][]byte{body}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		// Everything else is a form: browsers send cross-origin ones as text/plain, which net/http
		// would not parse.
		form, err := url.ParseQuery(string(body))
		if err != nil || !form.Has("message") {
			plain(w, http.StatusBadRequest, "Bad request")
			return
		}
		bodies = bytesOf(form["message"])
	}
	if !s.begin() { // with the body at hand, since a slow one must not hold up the end of Run
		s.unavailable(w)
		return
	}
	defer s.finish()
	x, ok := s.exchangeHTTP(w, r, o, bodies)
	if !ok {
		return
	}
	size := 2 + max(0, len(x.out)-1)
	for _, b := range x.out {
		size += len(b)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(size))
	x.write(w, "[", "]")
}

// callbackName is a dotted JavaScript identifier: nothing else is reflected.
var callbackName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*(\.[A-Za-z_$][A-Za-z0-9_$]*)*$`)

func (s *Server) serveJSONP(w http.ResponseWriter, r *http.Request, o origin) {
	query := r.URL.Query()
	callback := query.Get("jsonp")
	if callback == "" {
		callback = "jsonpcallback"
	}
	if !callbackName.MatchString(callback) {
		plain(w, http.StatusBadRequest, "Bad request")
		return
	}
	if !s.begin() {
		s.unavailable(w)
		return
	}
	defer s.finish()
	x, ok := s.exchangeHTTP(w, r, o, bytesOf(query["message"]))
	if !ok {
		return
	}
	for i := range x.out {
		x.out[i] = escapeSeparators(x.out[i])
	}
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	// With the comment in front and nosniff, this keeps the response from being run as anything but
	// this script.
	h.Set("Content-Disposition", "attachment; filename=f.txt")
	x.write(w, "/**/"+callback+"([", "]);")
}

// escapeSeparators escapes the two characters that end a line in JavaScript of old but not in JSON.
func escapeSeparators(b []byte) []byte {
	if !bytes.Contains(b, []byte("\u2028")) && !bytes.Contains(b, []byte("\u2029")) {
		return b
	}
	b = bytes.ReplaceAll(b, []byte("\u2028"), []byte(`\u2028`))
	return bytes.ReplaceAll(b, []byte("\u2029"), []byte(`\u2029`))
}

func bytesOf(texts []string) [][]byte {
	list := make([][]byte, len(texts))
	for i, t := range texts {
		list[i] = []byte(t)
	}
	return list
}

// exchangeHTTP carries out the messages of a request. It reports false when it has answered
// already.
func (s *Server) exchangeHTTP(w http.ResponseWriter, r *http.Request, o origin, bodies [][]byte) (*exchange, bool) {
	var batch []protocol.Message
	for _, body := range bodies {
		part, err := protocol.Parse(body, s.opt.MaxBatch-len(batch), s.opt.MaxNesting)
		if err != nil {
			plain(w, http.StatusBadRequest, "Bad request")
			return nil, false
		}
		batch = append(batch, part...)
	}
	control := http.NewResponseController(w)
	// Likewise; a server's own limit then ends long holds early.
	_ = control.SetReadDeadline(time.Time{})
	x := &exchange{
		srv: s, ctx: r.Context(), alone: len(batch) == 1,
		req: Request{HTTP: r, CookieCounts: o.cookieCounts},
	}
	if err := x.handleAll(batch); err != nil {
		x.fail()
		s.unavailable(w)
		return nil, false
	}
	return x, true
}

// write sends the response. Messages that could not be written go back to their session.
func (x *exchange) write(w http.ResponseWriter, open, end string) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	var b bytes.Buffer
	b.WriteString(open)
	for i, object := range x.out {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(object)
	}
	b.WriteString(end)
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(x.srv.opt.WriteTimeout)) // likewise
	_, err := w.Write(b.Bytes())
	if err == nil && (x.poll != nil || len(x.unanswered) > 0) {
		if err = control.Flush(); errors.Is(err, http.ErrNotSupported) {
			err = nil
		}
	}
	if err != nil {
		x.fail()
		return
	}
	x.release()
}

// fail gives back what the response was to carry.
func (x *exchange) fail() {
	x.release()
	if x.poll != nil {
		x.sess.undeliver(x.poll)
	}
}
