-- +goose Up
CREATE TABLE exhibitions (
	id {{id}},
	name VARCHAR(200) NOT NULL,
	created_at BIGINT NOT NULL
){{table}};
CREATE INDEX exhibitions_by_name ON exhibitions (name);

-- +goose Down
DROP TABLE exhibitions;
