// Package protocol is the language of Bayeux 1.0 as Faye and CometD speak it: channel names and
// patterns, the messages that clients send, the replies and the advice that they get.
//
// It knows no session, no transport and no clock: what it offers are pure functions and values,
// so everything that outsiders send can be fuzzed here without a server. Nothing in it blocks, and
// its values may be read by several goroutines at once.
package protocol
