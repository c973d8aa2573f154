// Package invitation is the system of exhibitions, exhibition users, and the invitations by
// which one user brings another to an exhibition.
//
// Users of exhibitions have their own table; they are not the back office's staff. A user may be
// linked to a member of staff, who then gets messages about that user's invitations. The link is
// optional because most visitors have no account here.
//
// A decision has two steps. The request claims it with one conditional UPDATE, and a job applies it
// and writes the messages. The claim is what makes the second of two deciders fail at once; the job
// is what survives a crash between the claim and the messages.
//
// Everything is safe for concurrent use.
package invitation
