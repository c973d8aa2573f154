package fake

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// failure is an answer that is no success. Codes and texts are Kodo's where they are known: the
// adapter decides by the code, and operators read the text.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return fmt.Sprintf("%d %s", f.status, f.text) }

func fail(status int, format string, args ...any) *failure {
	return &failure{status, fmt.Sprintf(format, args...)}
}

// sign is Kodo's signature, HMAC-SHA1 in URL-safe base64
// (https://developer.qiniu.com/kodo/1201/access-token). Written here and not taken from the SDK, so
// that the adapter's signatures are checked by other code than made them.
func (s *Server) sign(data string) string {
	h := hmac.New(sha1.New, []byte(s.o.SecretKey))
	io.WriteString(h, data)
	return base64.URLEncoding.EncodeToString(h.Sum(nil))
}

// signed checks "access key:signature" of data. One answer for a wrong key and a wrong signature,
// as Kodo's: who guesses learns nothing.
func (s *Server) signed(token, data string) *failure {
	key, signature, found := strings.Cut(token, ":")
	if !found || key != s.o.AccessKey || !hmac.Equal([]byte(signature), []byte(s.sign(data))) {
		return fail(http.StatusUnauthorized, "bad token")
	}
	return nil
}

// policy is what an upload token permits. Of Kodo's put policy
// (https://developer.qiniu.com/kodo/1206/put-policy) it has the fields that the adapter sets and
// those that would change what it may do.
type policy struct {
	Scope      string `json:"scope"`
	Deadline   int64  `json:"deadline"`
	Prefixal   int    `json:"isPrefixalScope"`
	InsertOnly int    `json:"insertOnly"`
	SizeLimit  *int64 `json:"fsizeLimit"`
	SizeMin    int64  `json:"fsizeMin"`
}

// upToken checks an upload token, and that it is for this object. The order of the checks decides
// which error a client sees when several things are wrong: first the signature, then the time, then
// the scope.
func (s *Server) upToken(token, bucket, key string) (policy, *failure) {
	var p policy
	// accessKey:signature:policy; the policy is base64 and holds no colon.
	i := strings.LastIndexByte(token, ':')
	if i < 0 {
		return p, fail(http.StatusUnauthorized, "bad token")
	}
	if f := s.signed(token[:i], token[i+1:]); f != nil {
		return p, f
	}
	// Read only once the signature fits: what it signs is this text, not its decoded form.
	text, err := base64.URLEncoding.DecodeString(token[i+1:])
	if err != nil || json.Unmarshal(text, &p) != nil {
		return p, fail(http.StatusUnauthorized, "bad token: put policy is not JSON")
	}
	if s.o.Now().Unix() >= p.Deadline {
		return p, fail(http.StatusUnauthorized, "expired token")
	}
	// scope is bucket, bucket:key, or with isPrefixalScope bucket:prefix.
	name, scoped, hasKey := strings.Cut(p.Scope, ":")
	// A form names no bucket; its token does.
	if bucket == "" {
		bucket = name
	}
	switch _, exists := s.objects[bucket]; {
	case name != bucket:
		return p, fail(http.StatusForbidden, "bucket doesn't match with scope")
	case !exists:
		return p, fail(631, "no such bucket")
	case hasKey && p.Prefixal == 0 && key != scoped, hasKey && p.Prefixal != 0 && !strings.HasPrefix(key, scoped):
		return p, fail(http.StatusForbidden, "key doesn't match with scope")
	}
	if !hasKey { // a token for the whole bucket replaces nothing
		p.InsertOnly = 1
	}
	p.Scope = name
	return p, nil
}

// permits checks what is known only once the bytes are there: their number, and whether they would
// replace others.
func (s *Server) permits(p policy, o Object) *failure {
	if p.SizeLimit != nil && o.Size > *p.SizeLimit {
		return fail(http.StatusRequestEntityTooLarge, "exceed FsizeLimit")
	}
	if o.Size < p.SizeMin {
		return fail(http.StatusForbidden, "less than FsizeMin")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The same content again is no conflict: a form whose answer was lost is sent once more.
	if old, exists := s.objects[p.Scope][o.Key]; exists && p.InsertOnly != 0 && old.Hash != o.Hash {
		return fail(614, "file exists")
	}
	return nil
}

// skew is how far the client's clock may be off; Kodo's own limit.
const skew = 15 * time.Minute

// management checks the signature of a request to manage objects. It covers the method, path,
// query, host, content type, every X-Qiniu- header in order, and a body that is not binary.
func (s *Server) management(r *http.Request, body []byte) *failure {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Qiniu ")
	if !found {
		return fail(http.StatusUnauthorized, "bad token")
	}
	data := r.Method + " " + r.URL.Path
	if r.URL.RawQuery != "" {
		data += "?" + r.URL.RawQuery
	}
	data += "\nHost: " + r.Host + "\n"
	// Present or not decides about a line of the signed text, empty or not about its body.
	kind := r.Header.Get("Content-Type")
	if kind != "" {
		data += "Content-Type: " + kind + "\n"
	}
	var own []string
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Qiniu-") && len(name) > len("X-Qiniu-") {
			own = append(own, name+": "+r.Header.Get(name)+"\n")
		}
	}
	// Sorted by name, since a map of headers has no order.
	slices.Sort(own)
	data += strings.Join(own, "") + "\n"
	if kind != "" && kind != "application/octet-stream" {
		data += string(body)
	}
	if f := s.signed(token, data); f != nil {
		return f
	}
	if date := r.Header.Get("X-Qiniu-Date"); date != "" {
		at, err := time.Parse("20060102T150405Z", date)
		if off := s.o.Now().Sub(at); err != nil || off > skew || off < -skew {
			return fail(http.StatusForbidden, "request time is too skewed")
		}
	}
	return nil
}

// downloadable checks a private link: its signature is over the URL as it was sent, and its
// deadline is part of what is signed.
func (s *Server) downloadable(r *http.Request) *failure {
	// RequestURI and not the parsed URL: another spelling of the same path has another signature.
	link, token, found := strings.Cut("http://"+r.Host+r.RequestURI, "&token=")
	if !found || strings.Contains(token, "&") {
		return fail(http.StatusUnauthorized, "download token not specified")
	}
	if f := s.signed(token, link); f != nil {
		return f
	}
	// The last one: a file's name in attname may hold e= too.
	i := strings.LastIndex(link, "e=")
	deadline, err := strconv.ParseInt(link[i+len("e="):], 10, 64)
	if i < 1 || !strings.ContainsRune("?&", rune(link[i-1])) || err != nil {
		return fail(http.StatusUnauthorized, "bad deadline")
	}
	if s.o.Now().Unix() >= deadline {
		return fail(http.StatusUnauthorized, "token out of date")
	}
	return nil
}
