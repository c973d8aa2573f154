-- +goose Up
CREATE TABLE things (
	id {{id}},
	name VARCHAR(100) NOT NULL,
	price BIGINT NOT NULL,
	phone VARCHAR(32) NOT NULL
){{table}};

-- +goose Down
DROP TABLE things;
