// Package search finds rows that hold a text anywhere in some of their fields, newest first, fast
// on a million rows and equal to going through all of them: two Chinese characters, a fragment of a
// phone number, a single character.
//
// # What matches
//
// A row matches when one of its fields, folded, holds the query, folded and trimmed. Fold is the
// whole rule: letters lose their case (one letter becomes one letter, so ß stays ß), full-width
// forms of ASCII become ASCII, every white space and control character becomes a blank. Nothing
// else is equal to anything else, and % and _ mean themselves. A query never matches across two
// fields.
//
// # Use
//
// A table that can be searched has a BIGINT id, a BIGINT column its lists are ordered by, an index
// over both, and what this package keeps beside its fields (here for a table things):
//
//	CREATE TABLE things (
//		id {{id}},
//		search_text VARCHAR(400) NOT NULL,
//		{{if postgres}}search_tokens TEXT[] NOT NULL,{{end}}
//		created_at BIGINT NOT NULL
//	){{table}};
//	CREATE INDEX things_newest ON things (created_at, id);
//	{{if postgres}}CREATE INDEX things_by_token ON things USING gin (search_tokens);
//	{{else}}CREATE TABLE things_search (
//		suffix VARCHAR(24) NOT NULL, id BIGINT NOT NULL, PRIMARY KEY (suffix, id)
//	){{if sqlite}} WITHOUT ROWID{{end}}{{table}};{{end}}
//
// PostgreSQL keeps the single characters, the pairs of neighbours and the threes of letters and
// digits of a row in an array with a GIN index. The others have nothing like it: there each row's
// text is stored from each of its characters on, and a query is a range of that table's key. Both
// are written in the transaction that writes the row: Columns, Values and Args go into its INSERT
// or UPDATE, Put follows it.
//
//	things := search.Index{Table: "things", Order: "created_at"}
//	text := search.Text(name, phone)
//	id, err := tx.Insert(ctx, "INSERT INTO things (created_at, "+things.Columns(tx)+
//		") VALUES (?, "+things.Values(tx)+")", append([]any{now}, things.Args(tx, text)...)...)
//	err = things.Put(ctx, tx, search.Change{ID: id, New: text})
//
//	found, err := things.Find(ctx, tx, search.Parse("张三"), search.Where{}, limit, offset)
//
// Everything is safe for concurrent use.
package search
