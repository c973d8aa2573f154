-- +goose Up
CREATE TABLE exports (
	uuid VARCHAR(36) NOT NULL PRIMARY KEY,
	user_id BIGINT NOT NULL,
	dataset VARCHAR(64) NOT NULL,
	format VARCHAR(16) NOT NULL,
	quota_day VARCHAR(10) NOT NULL,
	holds_slot {{bool}} NOT NULL,
	holds_day {{bool}} NOT NULL,
	attempt_unix BIGINT NOT NULL,
	object_key VARCHAR(128),
	filename VARCHAR(255),
	content_type VARCHAR(128),
	file_size BIGINT,
	expires_at BIGINT,
	created_at BIGINT NOT NULL
){{table}};
CREATE INDEX exports_by_slot ON exports (user_id, holds_slot);
CREATE INDEX exports_by_day ON exports (user_id, quota_day, holds_day);

-- +goose Down
DROP TABLE exports;
