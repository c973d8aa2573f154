-- +goose Up
CREATE TABLE export_slots (
	user_id BIGINT NOT NULL PRIMARY KEY,
	active INTEGER NOT NULL
){{table}};

-- +goose Down
DROP TABLE export_slots;
