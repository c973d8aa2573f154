package qiniu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qiniu/go-sdk/v7/storagev2/apis"
	"github.com/qiniu/go-sdk/v7/storagev2/credentials"
	"github.com/qiniu/go-sdk/v7/storagev2/http_client"
	"github.com/qiniu/go-sdk/v7/storagev2/region"
	"github.com/qiniu/go-sdk/v7/storagev2/resolver"
	"github.com/qiniu/go-sdk/v7/storagev2/retrier"
	"github.com/qiniu/go-sdk/v7/storagev2/uplog"

	"exporthub/pkg/backoff"
)

// hosts are interchangeable hosts of one service; the one that worked last is asked first.
type hosts struct {
	all   []string // as scheme://host
	first atomic.Int64
}

func newHosts(urls ...*url.URL) *hosts {
	h := &hosts{}
	for _, u := range urls {
		h.all = append(h.all, u.String())
	}
	return h
}

// pick returns the host to ask now and a function that says it failed. All requests of the Store
// share the choice, so that a dead host costs one timeout and not one for each object.
func (h *hosts) pick() (host string, failed func()) {
	// Two requests that fail at the same host move on by one host, not by two.
	n := h.first.Load()
	return h.all[int(n)%len(h.all)], func() { h.first.CompareAndSwap(n, n+1) }
}

// silence ends the SDK's telemetry, which is on by default.
var silence = sync.OnceFunc(func() {
	uplog.DisableUplog()
	// It would still look, once a minute, for what other programs' SDKs have left to be sent; there
	// is nothing here.
	uplog.SetUplogFileBufferDirPath(filepath.Join(os.DevNull, "telemetry"))
})

// client speaks to Kodo. Requests are made by the SDK's generated layer; hosts, retries and errors
// are ours, because the SDK waits without looking at the context and reads a body again while the
// transport may still be reading it.
type client struct {
	o           Options
	api         *apis.Storage
	http        *http.Client
	credentials *credentials.Credentials
	up, rs, rsf *hosts
	scrub       scrubber
	allowed     map[string]bool // addresses that may be dialed
}

// newClient connects the SDK's generated layer to our transport and hosts. Nothing is dialed yet.
func newClient(o Options) (*client, error) {
	c := &client{o: o, credentials: credentials.NewCredentials(o.AccessKey, o.SecretKey), scrub: newScrubber(o.AccessKey, o.SecretKey)}
	all, err := c.setHosts()
	if err != nil {
		return nil, err
	}
	// The dialer asks this list, so that neither a redirect nor a region query of the SDK can lead
	// elsewhere.
	c.allowed = map[string]bool{}
	for _, u := range all {
		c.allowed[address(u)] = true
	}
	c.http = &http.Client{
		Transport: &http.Transport{ // HTTP/1.1, so that parts go over connections of their own
			DialContext:         c.dial,
			MaxIdleConnsPerHost: 2 * o.Concurrency,
			IdleConnTimeout:     o.IdleTimeout,
			TLSHandshakeTimeout: o.DialTimeout,
			DisableCompression:  true,
		},
		// A redirect would carry the Authorization header to a host that we did not choose.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	silence()
	c.api = apis.NewStorage(&http_client.Options{
		BasicHTTPClient: c.http,
		Credentials:     c.credentials,
		// The SDK's resolver caches addresses in a file below the home directory.
		Resolver: resolver.NewEmptyResolver(),
		Regions: &region.Region{
			Up:     endpoints(c.up),
			Rs:     endpoints(c.rs),
			Rsf:    endpoints(c.rsf),
			Api:    endpoints(c.rs),
			Io:     endpoints(c.rs),
			IoSrc:  endpoints(c.rs),
			Bucket: endpoints(c.rs),
		},
		// Tries are counted in do; the SDK's own would multiply them.
		HostRetryConfig:  &http_client.RetryConfig{Retrier: retrier.NewNeverRetrier()},
		HostsRetryConfig: &http_client.RetryConfig{Retrier: retrier.NewNeverRetrier()},
	})
	return c, nil
}

func endpoints(h *hosts) region.Endpoints { return region.Endpoints{Preferred: h.all} }

// setHosts fills the hosts and returns every URL that may be connected to.
func (c *client) setHosts() ([]*url.URL, error) {
	var ups []*url.URL
	for _, text := range c.o.UpHosts {
		u, err := base("UpHosts", text)
		if err != nil {
			return nil, err
		}
		ups = append(ups, u)
	}
	c.up = newHosts(ups...)
	// Several upload hosts are one service behind several addresses; objects managed by one are
	// seen by all.
	all := ups
	if c.o.RSHost != "" {
		rs, err := base("RSHost", c.o.RSHost)
		if err != nil {
			return nil, err
		}
		c.rs, c.rsf = newHosts(rs), newHosts(rs)
		all = append(all, rs)
	} else {
		id, known := regionOf(ups[0])
		if !known {
			return nil, fmt.Errorf("qiniu: RSHost is required, since UpHosts names no region of the public cloud")
		}
		public := region.GetRegionByID(id, true)
		for h, text := range map[**hosts]string{&c.rs: public.Rs.Preferred[0], &c.rsf: public.Rsf.Preferred[0]} {
			u, err := base("region", text)
			if err != nil {
				return nil, err
			}
			*h = newHosts(u)
			all = append(all, u)
		}
	}
	domain, err := base("PrivateDomain", c.o.PrivateDomain)
	if err != nil {
		return nil, err
	}
	return append(all, domain), nil
}

// dial opens a connection to a configured host; every other address is refused, for the
// SDK's own requests too.
func (c *client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if !c.allowed[addr] {
		return nil, fmt.Errorf("qiniu: %s is none of the configured hosts", addr)
	}
	// Also with a Dialer from outside, which may know no timeout.
	ctx, cancel := context.WithTimeout(ctx, c.o.DialTimeout)
	defer cancel()
	conn, err := c.o.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &movingConn{conn, c.o.IdleTimeout}, nil
}

// movingConn ends a connection that stands still: each read and write gives both directions a new
// deadline, so an answer is waited for as long as a body is still going out.
type movingConn struct {
	net.Conn
	idle time.Duration
}

func (c *movingConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *movingConn) Write(p []byte) (int, error) {
	// Both directions: while a large part goes out, nothing comes in, and that is no silence.
	if err := c.SetDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// errPermanent marks an error that no other try mends and that is returned as it is.
type errPermanent struct{ error }

func (e errPermanent) Unwrap() error { return e.error }

// request is one request, in as many tries as it takes. action, bucket and key are for errors and
// logs.
type request struct {
	action, bucket, key string
	hosts               *hosts
	timeout             time.Duration
	// mends reports whether an answer of this code may be better another time; nil is mendable.
	mends func(code int) bool
	call  func(ctx context.Context, o *apis.Options) error
}

// do makes a request until it works, the tries are used up, or no other try would mend it.
func (c *client) do(ctx context.Context, r request) error {
	if r.timeout == 0 {
		r.timeout = c.o.RequestTimeout
	}
	if r.mends == nil {
		r.mends = mendable
	}
	for try := 1; ; try++ {
		host, failed := r.hosts.pick()
		err := c.once(ctx, r, host)
		if err == nil {
			return nil
		}
		// The caller's own end first: the error would be reported as one of the network.
		if ctx.Err() != nil {
			return ended(ctx)
		}
		if permanent := (errPermanent{}); errors.As(err, &permanent) {
			return permanent.error
		}
		code := codeOf(err)
		if !r.mends(code) {
			return c.classify(r, err)
		}
		// The next try goes to another host, if there is one, also after a 5xx: a host that is
		// being taken out of service answers, and badly.
		failed()
		if try >= c.o.Tries {
			return c.classify(r, err)
		}
		c.o.Logger.Debug("a request to storage failed, trying again", "action", r.action, "key", r.key, "try", try, "error", c.scrub.text(err))
		// A fifth more or less, so that many that failed together don't come back at once.
		if !backoff.Sleep(ctx, backoff.Around(backoff.Doubling(c.o.RetryDelay, 5*time.Second, try), 0.2)) {
			return ended(ctx)
		}
	}
}

// once makes one try. The SDK retries by itself where it can choose among hosts; with one host and
// without its retrier it does not.
func (c *client) once(ctx context.Context, r request, host string) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return r.call(ctx, &apis.Options{OverwrittenEndpoints: region.Endpoints{Preferred: []string{host}}})
}

// ended returns why ctx has ended, or nil.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("storage: %w", context.Cause(ctx))
}
