-- +goose Up
CREATE TABLE export_days (
	user_id BIGINT NOT NULL,
	quota_day VARCHAR(10) NOT NULL,
	used INTEGER NOT NULL,
	PRIMARY KEY (user_id, quota_day)
){{table}};

-- +goose Down
DROP TABLE export_days;
