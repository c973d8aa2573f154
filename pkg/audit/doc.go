// Package audit records who did what, from where, for those who have to answer for it later:
// logins, refusals, changes of rights, approvals, imports, exports and the fetches of their files.
//
// # Use
//
// What changes something is recorded in the transaction that changes it, so that neither is there
// without the other:
//
//	err = audit.Record(ctx, tx, audit.Entry{Action: audit.PasswordReset, Subject: audit.Person(id)})
//
// The person and the address are those of the request, which With put into ctx; an entry that names
// them itself (a job's owner, who is about to log in) wins.
//
// What was refused changes nothing and has no transaction, and a stranger can ask again a thousand
// times a second. Log.Count therefore keeps one row for each action, person, subject,
// network and minute, with how often it happened. The first of a minute is written at once, the
// others within FlushEvery; a process that is killed loses their number and not the row. Networks
// beyond a budget share one row, so that nobody can fill the table.
//
// # Promises
//
// Rows are only ever added. Nothing outside this package writes to the table, the number in a
// counted row is the one thing that grows, and rows go when their retention is over (Log.Purge).
//
// Everything is safe for concurrent use.
package audit
