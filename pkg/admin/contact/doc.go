// Package contact is the system of contact records: whom the collecting workers have been in
// touch with about a position, and what came of it.
//
// Records are searched in three fields at once (package search), listed newest first, and exported
// to a workbook. They are created one by one, or imported as JSON Lines.
//
// An account has one record per contact, which is a phone number or a WeChat name: account_id and
// contact are the key by which an import finds an existing record. The workers that collect records
// resend whole batches after an error, so an import must be repeatable without creating anything
// twice.
//
// Everything is safe for concurrent use.
package contact
