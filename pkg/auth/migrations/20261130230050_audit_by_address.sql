-- +goose Up
-- What one address did.
CREATE INDEX audit_by_address ON audit (address, at);

-- +goose Down
DROP INDEX audit_by_address{{if mysql}} ON audit{{end}};
