package storage

import (
	"context"
	"io"
	"time"
)

// Store keeps objects under keys. Errors are *errs.Error: NotFound for a key that is not there,
// Invalid for a key that can't be, Unavailable where another try may work, Forbidden where the
// store refuses us (no try will mend that).
type Store interface {
	// Put stores size bytes of src under key and returns when they are durable. An object of that
	// key is replaced whole or not at all. src is read by position, so that a failed part can be
	// sent again.
	Put(ctx context.Context, key string, src io.ReaderAt, size int64, o PutOptions) error
	// Open reads an object. The caller closes it.
	Open(ctx context.Context, key string) (io.ReadSeekCloser, Info, error)
	// Stat describes an object without reading it.
	Stat(ctx context.Context, key string) (Info, error)
	// Link returns a short-lived URL at which the store itself serves the object, or "" when it
	// must be served through Open (disk).
	Link(ctx context.Context, key string, o LinkOptions) (string, error)
	// Copy makes the object of from also available under to.
	Copy(ctx context.Context, from, to string) error
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, key string) error
	// List returns up to limit objects whose key has the prefix and stands after marker, in key
	// order, and the marker of the next call ("" at the end).
	List(ctx context.Context, prefix, marker string, limit int) ([]Info, string, error)
	// Check reports whether the store can take objects now.
	Check(ctx context.Context) error
}

// Info describes a stored object.
type Info struct {
	Key      string
	Size     int64
	Modified time.Time // UTC
}

// PutOptions says how an object is stored. The zero value is fine.
type PutOptions struct {
	ContentType string
	// Progress, when set, is called with how many bytes have been sent, at most every 100 ms and
	// once at the end.
	Progress func(sent int64)
}

// LinkOptions says what a link serves.
type LinkOptions struct {
	Filename string        // what a browser saves it as
	TTL      time.Duration // how long the link is good; 0 is 5 minutes
}

// IncrementalUploader is what a store offers besides that can take an object while it is still
// being written. A store that can't does not implement it.
type IncrementalUploader interface {
	// Ahead sends what can be sent by now of an object that is still growing, of which the first
	// size bytes are written and change no more, so that the Put of the same key and source has to
	// send only what is missing. No object is there before that Put. Errors are those of Put, which
	// needs no Ahead to have worked.
	//
	// What was sent is kept, also when ctx ends, until a Put of the key has worked, or Delete gives
	// it up: one of the two has to follow. Options are those of the Put to come; Progress is
	// not called.
	Ahead(ctx context.Context, key string, src io.ReaderAt, size int64, o PutOptions) error
}
