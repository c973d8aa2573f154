-- +goose Up
CREATE TABLE exhibition_users (
	id {{id}},
	phone VARCHAR(32) NOT NULL,
	company_name VARCHAR(200),
	department VARCHAR(200),
	position VARCHAR(200),
	area VARCHAR(200),
	person_id BIGINT,
	created_at BIGINT NOT NULL
){{table}};
CREATE UNIQUE INDEX exhibition_users_by_phone ON exhibition_users (phone);

-- +goose Down
DROP TABLE exhibition_users;
