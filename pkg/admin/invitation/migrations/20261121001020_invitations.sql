-- +goose Up
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
