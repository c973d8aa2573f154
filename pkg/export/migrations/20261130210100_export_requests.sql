-- +goose Up
-- Requests that carried an Idempotency-Key: what was asked for, as a hash, and the export that came
-- of it. Without a uuid the request is at work, by the one process that knows the token, until its
-- time is over.
CREATE TABLE export_requests (
	user_id BIGINT NOT NULL,
	request_key VARCHAR(255) NOT NULL,
	fingerprint VARCHAR(64) NOT NULL,
	token VARCHAR(36) NOT NULL,
	working_until BIGINT NOT NULL,
	uuid VARCHAR(36),
	created_at BIGINT NOT NULL,
	PRIMARY KEY (user_id, request_key)
){{table}};
CREATE INDEX export_requests_by_age ON export_requests (created_at);

-- +goose Down
DROP TABLE export_requests;
