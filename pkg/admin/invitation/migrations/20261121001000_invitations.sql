-- +goose Up
CREATE TABLE exhibitions (
	id {{id}},
	name VARCHAR(200) NOT NULL,
	created_at BIGINT NOT NULL
){{table}};
CREATE INDEX exhibitions_by_name ON exhibitions (name);

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

CREATE TABLE invitations (
	id {{id}},
	exhibition_id BIGINT NOT NULL,
	user_id BIGINT NOT NULL,
	recommend_user_id BIGINT NOT NULL,
	approve_status VARCHAR(16) NOT NULL,
	approve_description VARCHAR(500),
	created_at BIGINT NOT NULL
){{table}};
CREATE INDEX invitations_newest ON invitations (created_at, id);
CREATE INDEX invitations_by_exhibition ON invitations (exhibition_id, created_at, id);
CREATE INDEX invitations_by_user ON invitations (user_id, created_at, id);
CREATE INDEX invitations_by_recommender ON invitations (recommend_user_id, created_at, id);
CREATE INDEX invitations_by_status ON invitations (approve_status, created_at, id);
CREATE UNIQUE INDEX invitations_once ON invitations (exhibition_id, user_id, recommend_user_id);

-- +goose Down
DROP TABLE invitations;
DROP TABLE exhibition_users;
DROP TABLE exhibitions;
