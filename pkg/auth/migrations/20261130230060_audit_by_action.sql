-- +goose Up
-- All of one action: who was locked out, whose rights changed.
CREATE INDEX audit_by_action ON audit (action, at);

-- +goose Down
DROP INDEX audit_by_action{{if mysql}} ON audit{{end}};
