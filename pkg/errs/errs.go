package errs

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of failure an error is. The zero Kind is Internal: an error nobody
// classified.
type Kind uint8

// The kinds. Each has one row in the tables of httpapi and job.
const (
	// Internal is a fault of ours; its text is never shown.
	Internal Kind = iota
	// Invalid is bad input; Fields names what is wrong with which field.
	Invalid
	// Unauthenticated means no token, or one that is no longer good.
	Unauthenticated
	// Forbidden means the caller is known and may not.
	Forbidden
	// NotFound means there is no such thing, or none the caller may know of.
	NotFound
	// Conflict means the state of things does not allow it now.
	Conflict
	// Quota means a limit of the caller is used up until RetryAfter.
	Quota
	// TooMany means too many requests in too short a time.
	TooMany
	// TooLarge means the input is bigger than is accepted.
	TooLarge
	// Gone means it was there and has ended.
	Gone
	// Unavailable means a part we depend on (database, Redis, storage) can't be reached at the
	// moment.
	Unavailable
	// Unsupported means a content type or format that is not accepted here.
	Unsupported
)

var kindNames = [...]string{
	"internal", "invalid", "unauthenticated", "forbidden", "not_found", "conflict", "quota", "too_many", "too_large",
	"gone", "unavailable", "unsupported",
}

// String returns the kind's stable English name, which is also its default code.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Internal]
}

// Kinds lists every kind, so that tables can be tested for completeness.
func Kinds() []Kind {
	all := make([]Kind, len(kindNames))
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// Field is what is wrong with one input field.
type Field struct {
	Name   string // as the caller spelled it, nested as a.b or a[0]
	Reason string // what is wrong and what to do, safe to show
}

// Error is a failure with what may be said of it.
type Error struct {
	Kind Kind
	Code string // stable machine code; empty means the kind's name
	// safe to show to the person who asked; empty means a general text of the kind
	Message    string
	Fields     []Field       // for Invalid
	RetryAfter time.Duration // for Quota, TooMany, Conflict and Unavailable; 0 is unknown
	Location   string        // path of the thing in the way, for Conflict
	Cause      error         // never shown, logged once
}

// Error returns the message with its cause, for logs.
func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = e.Kind.String()
	}
	// With the fields, since the message alone of a bad input is often empty. Their reasons never
	// quote the value, so no secret reaches a log this way.
	for _, f := range e.Fields {
		text += fmt.Sprintf(" [%s: %s]", f.Name, f.Reason)
	}
	if e.Cause != nil {
		return text + ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// New makes an error of a kind with a message that is safe to show.
func New(kind Kind, message string) *Error { return &Error{Kind: kind, Message: message} }

// Newf is New with a format.
func Newf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives a cause a kind and a message that is safe to show.
func Wrap(kind Kind, message string, cause error) *Error {
	return &Error{Kind: kind, Message: message, Cause: cause}
}

// Invalidf makes an Invalid error about one field.
func Invalidf(field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Fields: []Field{{Name: field, Reason: fmt.Sprintf(format, args...)}}}
}

// As returns the first *Error in err's chain, or nil.
func As(err error) *Error {
	// The first in the chain: who wrapped last knew best what the caller may learn.
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// KindOf returns the kind of the first *Error in err's chain. A deadline that passed without anyone
// saying why is Unavailable; anything else unclassified is Internal.
func KindOf(err error) Kind {
	if e := As(err); e != nil {
		return e.Kind
	}
	// A deadline is nearly always a part that did not answer. Cancelled is different: the caller
	// has left and nobody reads the answer.
	if errors.Is(err, context.DeadlineExceeded) {
		return Unavailable
	}
	return Internal
}

// Is reports whether err is of the kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// CodeOf returns the stable machine code of err.
func CodeOf(err error) string {
	if e := As(err); e != nil && e.Code != "" {
		return e.Code
	}
	return KindOf(err).String()
}
