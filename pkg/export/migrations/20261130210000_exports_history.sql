-- +goose Up
-- A person's exports, newest first, for the pages of their history.
CREATE INDEX exports_by_user ON exports (user_id, created_at, uuid);

-- +goose Down
DROP INDEX exports_by_user{{if mysql}} ON exports{{end}};
