package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/go-chi/chi/v5"

	"exporthub/pkg/errs"
)

// DefaultMaxBody is the largest request body in bytes where a route or the Options say nothing
// else.
const DefaultMaxBody = 1 << 20

// DecodeValues fills the struct that into points to from values, by the rules of every route's
// input: same forms, same tags, same errors (errs.Invalid with the fields' names). values is a
// map[string]any or a JSON object as json.RawMessage or []byte; nil and JSON null are an empty one.
// Header fields stay as they are.
func DecodeValues(values any, into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("httpapi: decode into %T: need a pointer to a struct", into)
	}
	if err := checkInput(target.Type().Elem()); err != nil {
		return fmt.Errorf("httpapi: decode: %w", err)
	}
	var tree any
	switch v := values.(type) {
	case map[string]any:
		tree = plain(v)
	case json.RawMessage:
		values = []byte(v)
	}
	if data, ok := values.([]byte); ok && len(data) > 0 {
		var err error
		if tree, err = parseJSON(data); err != nil {
			return err
		}
	}
	if tree == nil {
		tree = map[string]any{}
	}
	m, ok := tree.(map[string]any)
	if !ok {
		return errs.New(errs.Invalid, msgNotObject)
	}
	return fill(m, nil, target.Elem(), false)
}

// DecodeStrict is DecodeValues, but a name that the struct does not have is an error too, for what
// must not do more than was meant when a name is misspelt.
func DecodeStrict(values any, into any) error {
	target := reflect.TypeOf(into)
	if tree, ok := treeOf(values); ok && target != nil && target.Kind() == reflect.Pointer {
		if unknown := unknownNames(target.Elem(), tree); len(unknown) > 0 {
			return &errs.Error{Kind: errs.Invalid, Fields: unknown}
		}
	}
	return DecodeValues(values, into)
}

// treeOf returns the members of values, if it is an object that can be read.
func treeOf(values any) (map[string]any, bool) {
	var data []byte
	switch v := values.(type) {
	case map[string]any:
		return v, true
	case json.RawMessage:
		data = v
	case []byte:
		data = v
	}
	tree, err := parseJSON(data)
	if err != nil {
		return nil, false
	}
	m, ok := tree.(map[string]any)
	return m, ok
}

// Decode fills the struct that into points to from r's path, query, headers and body, as Handle
// does for its input. It is for HandleHTTP handlers. The body, if it is to be read at all, must be
// JSON or a form.
func Decode(r *http.Request, into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("httpapi: decode into %T: need a pointer to a struct", into)
	}
	if err := checkInput(target.Type().Elem()); err != nil {
		return fmt.Errorf("httpapi: decode: %w", err)
	}
	query, err := parseForm(r.URL.RawQuery)
	if err != nil {
		return err
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	return fill(merged(query, body, pathValues(r)), r.Header.Get, target.Elem(), isSafe(r))
}

// fill binds values to the struct target and reports every problem in one error. trims is for
// requests that only look something up.
func fill(values map[string]any, header func(string) string, target reflect.Value, trims bool) error {
	b := &binder{trims: trims}
	b.bindStruct(values, header, target, "")
	return b.err()
}

// merged lays later sources over earlier ones. An empty text says nothing and covers nothing.
func merged(sources ...map[string]any) map[string]any {
	out := map[string]any{}
	for _, source := range sources {
		for name, v := range source {
			// An emptied form field must not hide the query parameter of the same name.
			if (v == text("") || isNothing(v)) && out[name] != nil {
				continue
			}
			out[name] = v
		}
	}
	return out
}

func pathValues(r *http.Request) map[string]any {
	rctx := chi.RouteContext(r.Context())
	if rctx == nil {
		return nil
	}
	out := make(map[string]any, len(rctx.URLParams.Keys))
	for i, name := range rctx.URLParams.Keys {
		if name == "*" {
			continue // chi's name for the rest of a path; no field is called so
		}
		value := rctx.URLParams.Values[i]
		if r.URL.RawPath != "" { // then chi matched the escaped path
			unescaped, err := url.PathUnescape(value)
			if err != nil {
				out[name] = refused(msgPercent)
				continue
			}
			value = unescaped
		}
		out[name] = text(cleanUTF8(value))
	}
	return out
}

// readBody reads a JSON or form body into a tree. Bodies of GET and HEAD mean nothing and are not
// read.
func readBody(r *http.Request) (map[string]any, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "" {
		// Something that is no media type is named in the refusal in the caller's own spelling.
		kind, _, _ = strings.Cut(r.Header.Get("Content-Type"), ";")
	}
	isJSON := kind == "application/json" || strings.HasSuffix(kind, "+json")
	isForm := kind == "application/x-www-form-urlencoded"
	// GBK from old clients would decode into other characters that look valid, so it is refused.
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return nil, errs.Newf(errs.Unsupported, msgContentType, kind+"; charset="+charset)
	}
	if kind != "" && !isJSON && !isForm {
		return nil, refuseUnlessEmpty(r, errs.Newf(errs.Unsupported, msgContentType, kind))
	}
	// Not decompressed: the limit on a body would then bound nothing.
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, errs.Newf(errs.Unsupported, msgEncoding, e)
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, bodyError(err)
	}
	trimmed := strings.TrimSpace(string(data))
	switch {
	case trimmed == "":
		return nil, nil
	case isForm && !(strings.HasPrefix(trimmed, "{") && json.Valid(data)):
		return parseForm(trimmed)
	case kind == "" && !strings.HasPrefix(trimmed, "{"):
		return nil, errs.New(errs.Unsupported, msgNoContentType)
	}
	// JSON, or JSON that a command-line client labelled as the form it is not: no form starts like
	// an object.
	v, err := parseJSON(data)
	if err != nil || v == nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errs.New(errs.Invalid, msgNotObject)
	}
	return m, nil
}

// refuseUnlessEmpty returns refusal when the body holds anything.
func refuseUnlessEmpty(r *http.Request, refusal error) error {
	// Clients that send a content type without a body (a POST without parameters) are let through.
	n, err := io.ReadFull(r.Body, make([]byte, 1))
	if n > 0 {
		return refusal
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return bodyError(err)
}

// bodyError gives a failed read of the body its kind: too large, or cut off on the way.
func bodyError(err error) error {
	if errs.As(err) != nil {
		return err // it was refused while it was read
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return errs.Wrap(errs.TooLarge, fmt.Sprintf(msgBodyTooLarge, SizeText(tooLarge.Limit)), err)
	}
	return errs.Wrap(errs.Invalid, msgBodyCut, err)
}

// starts reports whether any of the names carries a value.
func starts(query map[string]any, names []string) bool {
	for _, name := range names {
		if v, ok := query[name]; ok && v != nil && v != text("") && !isNothing(v) {
			return true
		}
	}
	return false
}

// SizeText is a number of bytes as people read it: in whole MiB or KiB where it is that.
func SizeText(bytes int64) string {
	switch {
	case bytes > 0 && bytes%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", bytes>>20)
	case bytes > 0 && bytes%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d 字节", bytes)
}
