// Package admintest is what the tests of the back office's modules share: a fake of admin.Events
// that records, and checks that every list and its export must pass.
//
// Events is safe for concurrent use; a List is a value and its methods may run at once.
package admintest
