-- +goose Up
-- The list, newest first, and the rows whose retention is over.
CREATE INDEX audit_by_time ON audit (at, id);

-- +goose Down
DROP INDEX audit_by_time{{if mysql}} ON audit{{end}};
