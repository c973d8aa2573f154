-- +goose Up
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
