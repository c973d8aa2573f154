-- +goose Up
-- What an import finds a record by: the contact without what can't be seen, in usual width. NULL is a record that is
-- still found by its contact as it stands: written by the release before, or one whose key another record has. Plain
-- contacts are their own keys and get them here; the program fills in the others when it starts, since no engine folds
-- width.
ALTER TABLE contacts ADD COLUMN contact_key VARCHAR(100);
UPDATE contacts SET contact_key = contact WHERE {{if sqlite}}contact NOT GLOB '*[^ -~]*'{{end}}{{if postgres}}contact COLLATE "C" ~ '^[ -~]*$'{{end}}{{if mysql}}contact REGEXP '^[ -~]*$'{{end}};
-- The key first: records without one are found at its end.
CREATE UNIQUE INDEX contacts_by_key ON contacts (contact_key, account_id);

-- +goose Down
DROP INDEX contacts_by_key{{if mysql}} ON contacts{{end}};
ALTER TABLE contacts DROP COLUMN contact_key;
