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

CREATE TABLE export_slots (
	user_id BIGINT NOT NULL PRIMARY KEY,
	active INTEGER NOT NULL
){{table}};

CREATE TABLE export_days (
	user_id BIGINT NOT NULL,
	quota_day VARCHAR(10) NOT NULL,
	used INTEGER NOT NULL,
	PRIMARY KEY (user_id, quota_day)
){{table}};

-- What differs from the configured limits, for a role or for one person; a person's line wins over the role's.
CREATE TABLE export_limits (
	subject VARCHAR(8) NOT NULL,
	subject_id BIGINT NOT NULL,
	max_active INTEGER,
	max_daily INTEGER,
	PRIMARY KEY (subject, subject_id)
){{table}};

-- +goose Down
DROP TABLE export_limits;
DROP TABLE export_days;
DROP TABLE export_slots;
DROP TABLE exports;
