// Package admintest is what the tests of the back office's systems share: events that are kept
// to be looked at, and the questions every list has to answer, the same for its pages and its
// export.
//
// Events is safe for concurrent use; a List is a value and its methods may run at once.
package admintest
