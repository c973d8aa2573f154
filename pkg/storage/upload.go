package storage

import (
	"context"
	"time"
)

// Direct is what a store offers besides where people's browsers send files to it without passing
// through us. A store that can't does not implement it. It has two buckets: the Store's own, which
// is private, and a public one.
type Direct interface {
	// UploadToken returns a short-lived permission to upload new objects; it can replace none.
	UploadToken(ctx context.Context, o TokenOptions) (Token, error)
	// CopyToPrivate copies the public bucket's object from to the private bucket's object to, which
	// is replaced.
	CopyToPrivate(ctx context.Context, from, to string) error
	// PublicURL is where anyone can fetch an object of the public bucket.
	PublicURL(key string) (string, error)
}

// TokenOptions says what an upload token permits.
type TokenOptions struct {
	Public  bool          // into the public bucket; else into the private one
	Prefix  string        // what the new keys must begin with; required
	MaxSize int64         // bytes of one file; 0 is no limit
	TTL     time.Duration // how long it is good; 0 is 10 minutes
}

// Token is a permission to upload.
type Token struct {
	Token   string // sent with the file; a secret until it expires
	URL     string // where to send the form
	Prefix  string
	Expires time.Time
}
