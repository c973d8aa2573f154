// Package delivery hands out the files of exports: it makes the signed links to them, checks a
// link from every side before a file is opened, waits for files that are still being written, and
// records who fetched what.
//
// A link works by its signature, without a login, so that it can be opened by programs that hold no
// token. It is the right of its owner, though: whatever the owner may no longer export or see, the
// link does not give out either.
package delivery
