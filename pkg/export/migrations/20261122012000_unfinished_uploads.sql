-- +goose Up
-- Uploads that a store has begun and not ended, for whoever cleans up after a process that was killed.
CREATE TABLE unfinished_uploads (
	upload_id VARCHAR(255) NOT NULL PRIMARY KEY,
	bucket VARCHAR(128) NOT NULL,
	object_key VARCHAR(512) NOT NULL,
	begun_at BIGINT NOT NULL,
	expires_at BIGINT
){{table}};

-- +goose Down
DROP TABLE unfinished_uploads;
