// Package localserver has what starting a database server of this machine takes: where its program
// is, the user it may run as, a free port, and a question that it answers once it is ready.
//
// The tests' servers (testkit) and "make up" start servers with different options and lifetimes,
// and share this. Everything is safe for concurrent use.
package localserver
