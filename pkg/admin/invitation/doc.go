// Package invitation is the system of exhibitions, exhibition users, and the invitations by
// which one user brings another to an exhibition.
//
// Users of exhibitions are a table of their own, not the back office's staff; each may be linked
// to a person of the staff, who then hears of what happens to the invitations. Everything is
// safe for concurrent use.
package invitation
