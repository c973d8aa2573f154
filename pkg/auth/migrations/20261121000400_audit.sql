-- +goose Up
CREATE TABLE audit (
	id {{id}},
	at BIGINT NOT NULL,
	actor_id BIGINT NOT NULL,
	action VARCHAR(64) NOT NULL,
	subject VARCHAR(128) NOT NULL,
	detail VARCHAR(500) NOT NULL,
	address VARCHAR(64) NOT NULL
){{table}};
CREATE INDEX audit_by_actor ON audit (actor_id, at);
CREATE INDEX audit_by_subject ON audit (subject, at);

-- +goose Down
DROP TABLE audit;
