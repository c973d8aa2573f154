-- +goose Up
ALTER TABLE exports ADD COLUMN file_removed_at BIGINT;
-- What the clean-up asks: the files whose time is over and that are still there.
CREATE INDEX exports_by_expiry ON exports (file_removed_at, expires_at);
-- How far a clean-up that goes through a long list has come.
CREATE TABLE export_cleanup (
	name VARCHAR(40) NOT NULL PRIMARY KEY,
	position VARCHAR(512) NOT NULL
){{table}};

-- +goose Down
DROP TABLE export_cleanup;
ALTER TABLE exports DROP COLUMN file_removed_at;
