package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// benchClient asks the program as somebody at an address does.
type benchClient struct {
	b    *testing.B
	url  string
	http http.Client
}

// ask sends a request from an address and returns the status.
func (c *benchClient) ask(ctx context.Context, method, path, body, from, token string) int {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.b.Error(err)
		return 0
	}
	req.Header.Set("X-Forwarded-For", from)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("ACCESS-TOKEN", token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = new(bytes.Buffer).ReadFrom(res.Body)
	return res.StatusCode
}

// times returns the p50 and p99 of a request that is sent n times, one after the other.
func (c *benchClient) times(n int, one func() int, want int) (p50, p99 time.Duration) {
	all := make([]time.Duration, n)
	for i := range all {
		began := time.Now()
		if got := one(); got != want {
			c.b.Errorf("answered %d, want %d", got, want)
		}
		all[i] = time.Since(began)
	}
	slices.Sort(all)
	return all[n/2], all[n*99/100]
}

// BenchmarkBesideAFloodOfLogins reports how many times longer an honest login and other requests
// take while one address tries 100 passwords a second over 100 connections, some 16 kB/s. More
// would measure how fast the attacker's side of this machine is.
func BenchmarkBesideAFloodOfLogins(b *testing.B) {
	a := startEmbedded(b, "DEMO_ROWS=1000", "TRUSTED_PROXIES=127.0.0.1", "LOG_LEVEL=error")
	c := &benchClient{b: b, url: a.URL, http: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}}}
	token := a.Login("admin")
	login := func() int {
		body := `{"account":"admin","password":"123456"}`
		return c.ask(b.Context(), "POST", "/api/access/token", body, "192.0.2.1", "")
	}
	list := func() int {
		return c.ask(b.Context(), "GET", "/api/admin/invitations", "", "192.0.2.1", token)
	}
	for b.Loop() {
		quietLogin, _ := c.times(30, login, 200)
		quietList, quietTail := c.times(200, list, 200)
		ctx, stop := context.WithCancel(b.Context())
		var attack sync.WaitGroup
		for i := range 100 {
			attack.Go(func() {
				pace := time.NewTicker(time.Second)
				defer pace.Stop()
				for ctx.Err() == nil {
					select {
					case <-pace.C:
					case <-ctx.Done():
						return
					}
					c.ask(ctx, "POST", "/api/access/token", fmt.Sprintf(`{"account":"nobody%d","password":"x"}`, i), "192.0.2.66", "")
				}
			})
		}
		floodLogin, _ := c.times(30, login, 200)
		floodList, floodTail := c.times(200, list, 200)
		stop()
		attack.Wait()
		b.ReportMetric(float64(floodLogin)/float64(quietLogin), "login-x")
		b.ReportMetric(float64(floodList)/float64(quietList), "list-p50-x")
		b.ReportMetric(float64(floodTail)/float64(quietTail), "list-p99-x")
		b.ReportMetric(float64(floodTail.Microseconds())/1000, "list-p99-ms")
	}
}

// BenchmarkBadLinesAndDeepPages reports what an import of bad lines costs beside one of as many
// good ones, and the last page of a list beside its first.
func BenchmarkBadLinesAndDeepPages(b *testing.B) {
	a := startEmbedded(b, "DEMO_ROWS=50000", "EXPORT_RATE=0", "LOG_LEVEL=error")
	c := &benchClient{b: b, url: a.URL}
	token := a.Login("admin")
	var good strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&good, `{"name":"n","contact":"bench-%d"}`+"\n", i)
	}
	bad := strings.Repeat("{}\n", 4<<20/3)
	for b.Loop() {
		imported, _ := c.times(1, func() int { return c.ask(b.Context(), "POST", "/api/contacts/import", good.String(), "", token) }, 200)
		refused, _ := c.times(3, func() int { return c.ask(b.Context(), "POST", "/api/contacts/import", bad, "", token) }, 400)
		first, _ := c.times(50, func() int { return c.ask(b.Context(), "GET", "/api/contacts?page_size=50", "", "", token) }, 200)
		last, _ := c.times(50, func() int {
			return c.ask(b.Context(), "GET", "/api/contacts?page_size=50&page=400", "", "", token)
		}, 200)
		b.ReportMetric(float64(refused)/float64(imported), "bad-import-x")
		b.ReportMetric(float64(last)/float64(first), "last-page-x")
	}
}
