package fake

import (
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
)

// form receives POST /: the object's name is a field, so a fault of it is known only when the
// fields before the file are.
func (s *Server) form(w http.ResponseWriter, a *ask) {
	reader, err := a.r.MultipartReader()
	if err != nil {
		s.serve(w, a, func(w http.ResponseWriter) { finish(w, nil, fail(http.StatusBadRequest, "invalid multipart format")) })
		return
	}
	// Fields behind the file are not seen here, as at Kodo: the file has to come last.
	fields := map[string]string{}
	var file *multipart.Part
	for file == nil {
		part, err := reader.NextPart()
		if err != nil {
			break
		}
		if part.FormName() == "file" {
			file = part
			continue
		}
		text, _ := io.ReadAll(io.LimitReader(part, 64<<10))
		fields[part.FormName()] = string(text)
	}
	// Only now can a fault that is for one key be looked up.
	a.Key = fields["key"]
	a.fault = s.fault(a.Request)
	s.serve(w, a, func(w http.ResponseWriter) {
		got, err := s.takeForm(a, reader, file, fields)
		finish(w, got, err)
	})
}

// takeForm checks a form's token before it takes the file's bytes, and its sum and end after them.
// What was received is removed when the form is refused.
func (s *Server) takeForm(a *ask, rest *multipart.Reader, file *multipart.Part, fields map[string]string) (any, error) {
	p, denied := s.upToken(fields["token"], "", a.Key)
	if denied != nil {
		// Read to the end, so that the client sees the refusal and not a reset connection.
		_, _ = io.Copy(io.Discard, a.r.Body)
		return nil, denied
	}
	a.Bucket = p.Scope
	if file == nil || file.FileName() == "" {
		return nil, fail(http.StatusBadRequest, "file is not specified in multipart")
	}
	in, err := s.receive(file, a.fault.is(Damage))
	if err != nil {
		return nil, err
	}
	// The end of the form has to arrive too: without this check a form that was cut after its file
	// would be stored.
	if _, err := rest.NextPart(); err != io.EOF {
		os.Remove(in.file)
		return nil, fail(http.StatusBadRequest, "the form does not end after its file")
	}
	// Optional, as at Kodo; the adapter always sends it.
	if text, given := fields["crc32"]; given && text != strconv.FormatUint(uint64(in.crc), 10) {
		os.Remove(in.file)
		return nil, fail(http.StatusNotAcceptable, "crc32 check failed")
	}
	kind := file.Header.Get("Content-Type")
	return s.keep(a, p, Object{Key: a.Key, Size: in.size, Hash: hashOf(in.sums), MimeType: kind, file: in.file})
}

// keep makes an object of what a token has brought, and answers the upload. Size and replacement
// are checked here, since a token limits them and the bytes are counted only now.
func (s *Server) keep(a *ask, p policy, o Object) (any, error) {
	if o.MimeType == "" {
		o.MimeType = "application/octet-stream"
	}
	if denied := s.permits(p, o); denied != nil {
		os.Remove(o.file)
		return nil, denied
	}
	if a.fault.is(Lose) {
		os.Remove(o.file)
	} else {
		s.store(p.Scope, o)
	}
	// Only the answer lies; what is stored is right, so a client that compares finds it out.
	hash := o.Hash
	if a.fault.is(Lie) {
		hash = wrongHash
	}
	return map[string]string{"key": o.Key, "hash": hash}, nil
}
