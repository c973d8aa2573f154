// Package message is the system of messages: what the other systems' events have to tell a
// person, unread, read, or waiting to be handled.
//
// Messages are written in the transaction of whatever they tell of, by the module's reactions,
// so that none is lost and none tells of what did not happen; one event writes one message for
// each person, however often it is told. After the commit they are pushed on /message/<user id>
// with the person's new counts; so are the counts alone, with message null, whenever they change
// otherwise: somebody else has decided, or the person has read in another window. Everybody
// reads only their own.
//
// Everything is safe for concurrent use.
package message
