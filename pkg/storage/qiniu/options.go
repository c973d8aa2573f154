package qiniu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"exporthub/pkg/storage"
)

// Dialer opens connections, as (*net.Dialer).DialContext does. Tests count and break them here.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Options say where the buckets are and how to talk to them. The zero value of what is not required
// means its default, which stands behind each field.
type Options struct {
	AccessKey, SecretKey string // required

	PrivateBucket string // required: where objects are
	PrivateDomain string // required: what its links begin with, such as https://files.example.com
	Bucket        string // required: the public bucket
	Domain        string // required: what its links begin with

	// UpHosts take uploads; the next is tried when one fails. Required. A host without a scheme
	// means https.
	UpHosts []string
	// RSHost manages and lists objects; for a private deployment. Empty means the hosts of the
	// region that the first of UpHosts names.
	RSHost string

	Threshold   int64 // up to how many bytes an object is sent as a form; 4 MiB, and at most 64 MiB
	PartSize    int64 // bytes of a part, a multiple of 4 MiB; 4 MiB
	Concurrency int   // parts of one object sent at a time; 4

	Tries       int           // of one request; 3, and at least one for each of UpHosts
	RetryDelay  time.Duration // before the second try, doubling after it; 200 ms
	DialTimeout time.Duration // 5 s
	IdleTimeout time.Duration // how long a connection may stand still in a request; 30 s
	// of a whole request; ten times as long for one that carries data; 1 min
	RequestTimeout time.Duration

	// Ledger, when set, is where unfinished uploads are written down, so that another process can
	// Abort what this one leaves when it is killed. Without one that is left to Kodo, which cannot
	// list it and drops it after days.
	Ledger storage.Ledger

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default slog.Default()
	Dial   Dialer           // default net.Dialer; asked for the configured hosts only
}

const (
	block           = 4 << 20 // what Kodo's hash is made of
	maxThreshold    = 64 << 20
	maxPartSize     = 1 << 30
	maxParts        = 10_000
	dataTimeoutsFor = 10 // times RequestTimeout
)

func (o *Options) setDefaults() {
	setDefault(&o.Threshold, block)
	setDefault(&o.PartSize, block)
	setDefault(&o.Concurrency, 4)
	setDefault(&o.Tries, 3)
	setDefault(&o.RetryDelay, 200*time.Millisecond)
	setDefault(&o.DialTimeout, 5*time.Second)
	setDefault(&o.IdleTimeout, 30*time.Second)
	setDefault(&o.RequestTimeout, time.Minute)
	// Each host is tried once at least, or the last ones of a long list would never be.
	o.Tries = max(o.Tries, len(o.UpHosts))
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: o.DialTimeout}).DialContext
	}
}

func setDefault[T int | int64 | time.Duration](value *T, otherwise T) {
	if *value == 0 {
		*value = otherwise
	}
}

// check reports everything that is wrong with the options at once, without their secrets: a start
// that fails five times, for one setting each, costs an operator an hour.
func (o *Options) check() error {
	var problems []error
	for name, value := range map[string]string{
		"AccessKey":     o.AccessKey,
		"SecretKey":     o.SecretKey,
		"PrivateBucket": o.PrivateBucket,
		"PrivateDomain": o.PrivateDomain,
		"Bucket":        o.Bucket,
		"Domain":        o.Domain,
	} {
		if value == "" {
			problems = append(problems, fmt.Errorf("qiniu: %s is required", name))
		}
	}
	if len(o.UpHosts) == 0 {
		problems = append(problems, errors.New("qiniu: UpHosts is required"))
	}
	// Exported files would be public under names that can be guessed.
	if o.Bucket != "" && o.Bucket == o.PrivateBucket {
		problems = append(problems, fmt.Errorf("qiniu: bucket %q can't be both public and private", o.Bucket))
	}
	for _, n := range []struct {
		name       string
		n, min, to int64
	}{
		{"Threshold", o.Threshold, 1, maxThreshold},
		{"PartSize", o.PartSize, block, maxPartSize},
		{"Concurrency", int64(o.Concurrency), 1, 64},
		{"Tries", int64(o.Tries), 1, 100},
	} {
		if n.n < n.min || n.n > n.to {
			problems = append(problems, fmt.Errorf("qiniu: %s %d is not %d to %d", n.name, n.n, n.min, n.to))
		}
	}
	// Kodo's hash of an object is made of blocks of 4 MiB. Parts of other sizes give it a hash that
	// depends on the parts, and that could not be compared with the source's.
	if o.PartSize%block != 0 {
		problems = append(problems, fmt.Errorf("qiniu: PartSize %d is no multiple of 4 MiB", o.PartSize))
	}
	return errors.Join(problems...)
}

// base is a setting that names a host or domain as the beginning of a URL: scheme, host and perhaps
// a path, without a slash at the end.
func base(name, text string) (*url.URL, error) {
	// Qiniu's console shows domains without a scheme.
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(strings.TrimRight(text, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("qiniu: %s: must be a host, http://host or https://host", name)
	}
	return u, nil
}

// address is what a connection to u is dialed with, in the spelling of net/http: the dialer's list
// of allowed addresses is compared with it as text.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

var regionHost = regexp.MustCompile(`^up(?:load)?(?:-([a-z0-9-]+))?\.qiniup\.com$`)

// regionOf is the public cloud's region that an upload host belongs to. The names are Qiniu's own
// (https://developer.qiniu.com/kodo/1671/region-endpoint-fq); East China, the first, is in none.
func regionOf(upHost *url.URL) (string, bool) {
	found := regionHost.FindStringSubmatch(upHost.Hostname())
	switch {
	case found == nil:
		return "", false
	case found[1] == "":
		return "z0", true
	}
	return found[1], true
}
