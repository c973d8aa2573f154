// Package trail is the audit as a list for those who have to look into it: who did what, when and
// from where, with filters, and as an export of its own. What is recorded, and when, is
// pkg/audit's; this package only reads.
//
// Details mention phones as the people typed them, in the filters of exports for example. Who may
// not read phones in the invitations' list sees them masked here as there, and no filter is over a
// detail.
package trail
