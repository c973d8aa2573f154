// Package contact is the system of contact records: whom the collecting workers have been in
// touch with about a position, and what came of it.
//
// Records are searched in three fields at once (package search), listed newest first, exported
// to a workbook that a link hands out, and brought in one by one or as JSON Lines. An account
// has one record for each way to reach somebody: account_id and contact are the key by which an
// import finds what is there. Everything is safe for concurrent use.
package contact
