package exporttest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/go-chi/chi/v5"

	"exporthub/pkg/auth"
	"exporthub/pkg/export"
	"exporthub/pkg/httpapi"
)

// Visitors takes every request to come from one address. It knows the person by their token.
func (h *Hub) Visitors() export.Visitors {
	return export.Visitors{
		Address: func(*http.Request) string { return "192.0.2.7" },
		Actor: func(r *http.Request) int64 {
			token, _, err := auth.RequestToken(r)
			if err != nil {
				return 0
			}
			p, err := h.Auth.Identify(r.Context(), token)
			if err != nil {
				return 0
			}
			return p.UserID
		},
	}
}

// Server serves the engine's routes to callers with real tokens.
func (h *Hub) Server() *httptest.Server {
	// With the routes of identities, so that a test can log in as the page does.
	r := chi.NewRouter()
	httpapi.Mount(r, append(h.Exports.Routes(h.Visitors()), h.Auth.Routes()...), httpapi.Options{Authorize: h.Auth.Authorize})
	s := httptest.NewServer(r)
	h.T.Cleanup(s.Close)
	return s
}

// Get asks for a path, with a token when there is one.
func (h *Hub) Get(s *httptest.Server, path, token string, header ...string) (*http.Response, []byte) {
	h.T.Helper()
	return h.Send(s, "GET", path, nil, token, header...)
}

// Send sends a request, with a body as JSON where it is not nil, follows no redirect, and returns
// the answer with its body. Headers are pairs of name and value.
func (h *Hub) Send(s *httptest.Server, method, path string, body any, token string, header ...string) (*http.Response, []byte) {
	h.T.Helper()
	var text []byte
	switch v := body.(type) {
	case nil:
	case string:
		text = []byte(v)
	default:
		var err error
		if text, err = json.Marshal(v); err != nil {
			h.T.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(h.T.Context(), method, s.URL+path, bytes.NewReader(text))
	if err != nil {
		h.T.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("ACCESS-TOKEN", token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := *s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Do(req)
	if err != nil {
		h.T.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		h.T.Fatal(err)
	}
	return res, answer
}

// Fetch gets a file by its link and checks the status.
func (h *Hub) Fetch(link string, status int) []byte {
	h.T.Helper()
	u, err := url.Parse(link)
	if err != nil {
		h.T.Fatal(err)
	}
	res, body := h.Get(h.Server(), u.RequestURI(), "")
	if res.StatusCode != status {
		h.T.Fatalf("%s answers %d: %.200s", link, res.StatusCode, body)
	}
	return body
}

// Token logs a person in for a test: the password is set first.
func (h *Hub) Token(account string) string {
	h.T.Helper()
	_, p := h.Person(account, auth.Staff)
	const password = "correct horse 11"
	if err := h.Auth.SetPassword(h.T.Context(), p.UserID, password, false); err != nil {
		h.T.Fatal(err)
	}
	s := h.Server()
	res, err := s.Client().PostForm(s.URL+"/api/access/token", url.Values{"account": {account}, "password": {password}})
	if err != nil {
		h.T.Fatal(err)
	}
	defer res.Body.Close()
	var body struct{ Data struct{ Token string } }
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil || body.Data.Token == "" {
		h.T.Fatalf("log in %s: %d %v", account, res.StatusCode, err)
	}
	return body.Data.Token
}
