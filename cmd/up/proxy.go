package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// replicaCookie names the replica that a browser's realtime requests go to. It is for /faye only.
const replicaCookie = "up_replica"

// requestID is the header by which the programs know a request that is sent again.
const requestID = "X-Request-Id"

// proxy spreads requests over the replicas and keeps each subscriber of events on one.
type proxy struct {
	replicas []string // host:port
	turn     atomic.Uint64
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// newProxy returns the handler in front of the replicas. It does what deploy/nginx.conf does, as
// far as developers notice: sticky realtime, events that come as they are written, and another
// replica for requests of one that is gone.
func newProxy(replicas []string, log *slog.Logger) http.Handler {
	p := &proxy{replicas: replicas, dial: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	// No compression: a proxy that unpacked answers would hold events back until a block is full.
	transport := &http.Transport{DialContext: p.dialAny, MaxIdleConnsPerHost: 100, IdleConnTimeout: time.Minute, DisableCompression: true}
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", p.replicas[p.choose(r.In)]
			// Checks of where a request comes from go by the address that people use.
			r.Out.Host = r.In.Host
			r.SetXForwarded()
			// A GET on a connection that has just died is sent again by the transport. With one id
			// over both tries, a start that was accepted is answered as such and not refused as a
			// second one.
			if r.Out.Header.Get(requestID) == "" {
				r.Out.Header.Set(requestID, rand.Text())
			}
		},
		ModifyResponse: p.offerReplica,
		FlushInterval:  -1, // events and files go on as they come
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			// A client that left is no failure of the replicas.
			if r.Context().Err() == nil {
				log.Warn("no replica answers", "path", loggedPath(r), "error", err)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
}

// loggedPath is a path without the session id that those of event streams have in it: with the id
// alone the events of its session can be read.
func loggedPath(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, "/faye/") {
		return "/faye/-"
	}
	return r.URL.Path
}

// realtime reports whether the request belongs to a session, which lives in one replica.
func realtime(r *http.Request) bool {
	return r.URL.Path == "/faye" || strings.HasPrefix(r.URL.Path, "/faye/")
}

// choose returns the number of the request's replica: the next in turn, or its session's, named by
// the cookie that browsers bring and else by the address.
func (p *proxy) choose(r *http.Request) int {
	n := uint64(len(p.replicas))
	if !realtime(r) {
		return int(p.turn.Add(1) % n)
	}
	// The cookie before the address: browsers of one office share an address and should be spread.
	if c, err := r.Cookie(replicaCookie); err == nil {
		if i, err := strconv.ParseUint(c.Value, 10, 16); err == nil {
			return int(i % n)
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	// Clients without cookies, such as old pages of another origin, stay on the replica of their
	// address. Their session lives in its memory.
	h := fnv.New32a()
	_, _ = h.Write([]byte(host)) // a hash takes everything
	return int(uint64(h.Sum32()) % n)
}

// offerReplica gives a browser that loads the page a replica for its realtime requests.
func (p *proxy) offerReplica(res *http.Response) error {
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		c := http.Cookie{Name: replicaCookie, Path: "/faye", HttpOnly: true, SameSite: http.SameSiteLaxMode,
			Value: strconv.FormatUint(p.turn.Load()%uint64(len(p.replicas)), 10)}
		res.Header.Add("Set-Cookie", c.String())
	}
	return nil
}

// dialAny connects to the replica asked for, else to the others: what has no connection has sent
// nothing, so any request may be tried elsewhere.
func (p *proxy) dialAny(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := p.dial(ctx, network, address)
	if err == nil {
		return conn, nil
	}
	all := []error{err}
	for _, other := range p.replicas {
		if other == address {
			continue
		}
		conn, err := p.dial(ctx, network, other)
		if err == nil {
			return conn, nil
		}
		all = append(all, err)
	}
	return nil, errors.Join(all...)
}

// serveProxy answers until ctx ends. Long polls and sockets are cut: their clients come back.
func serveProxy(ctx context.Context, listener net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	// Close and not Shutdown: held polls last up to 45 s, and nothing here is worth waiting for.
	err := server.Close()
	<-done
	return err
}
