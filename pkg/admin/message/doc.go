// Package message is the system of messages: what events of other modules mean for one person,
// unread, read, or waiting to be handled.
//
// Messages are written by the module's reactions, in the transaction of the event they are about.
// So no message is lost, and none reports what was rolled back. One event writes one message per
// person, however often it is raised: a unique index over event key and person holds this even
// against a job that runs twice.
//
// After the commit a message is pushed on /message/<user id> with the person's new counts. The
// counts are pushed alone, with message null, when they change for another reason: another person
// has decided, or the same person has read in another window. A person reads only their own
// messages.
//
// Everything is safe for concurrent use.
package message
