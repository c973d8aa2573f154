-- +goose Up
-- The request that started an export, by which a repetition of it is recognised: its id, which a proxy keeps when it
-- sends a request again, and a hash of what was asked for. Rows from before, and of the release before, have neither.
ALTER TABLE exports ADD COLUMN request_id VARCHAR(64);
ALTER TABLE exports ADD COLUMN fingerprint VARCHAR(64);
CREATE INDEX exports_by_request ON exports (user_id, fingerprint);

-- +goose Down
DROP INDEX exports_by_request{{if mysql}} ON exports{{end}};
ALTER TABLE exports DROP COLUMN fingerprint;
ALTER TABLE exports DROP COLUMN request_id;
