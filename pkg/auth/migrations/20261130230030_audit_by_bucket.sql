-- +goose Up
-- Two replicas that count the same thing raise one row.
CREATE UNIQUE INDEX audit_by_bucket ON audit (bucket);

-- +goose Down
DROP INDEX audit_by_bucket{{if mysql}} ON audit{{end}};
