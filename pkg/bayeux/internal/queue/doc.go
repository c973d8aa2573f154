// Package queue holds what waits for one session and what is known of its delivery: the messages
// in their wire form ([Frame], [Entry]), those that wait ([Queue]), those that were written and
// may not have arrived ([Unacked], [Batches]), and what the session already got of each key
// ([Marks]).
//
// Nothing here locks: a session guards its own queue. A Frame is the exception. It is built once,
// shared by every session that receives it, and safe for concurrent use.
package queue
