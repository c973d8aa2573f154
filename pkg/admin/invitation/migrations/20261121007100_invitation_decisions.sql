-- +goose Up
-- Who decided what and when, from the moment the decision is taken. decision_job is the job that applies it: a row that
-- has one is taken, and nobody else decides about it.
ALTER TABLE invitations ADD COLUMN decision VARCHAR(16);
ALTER TABLE invitations ADD COLUMN decided_by BIGINT;
ALTER TABLE invitations ADD COLUMN decided_at BIGINT;
ALTER TABLE invitations ADD COLUMN decision_job VARCHAR(36);
CREATE INDEX invitations_by_decision ON invitations (decision_job);

-- +goose Down
DROP INDEX invitations_by_decision{{if mysql}} ON invitations{{end}};
ALTER TABLE invitations DROP COLUMN decision_job;
ALTER TABLE invitations DROP COLUMN decided_at;
ALTER TABLE invitations DROP COLUMN decided_by;
ALTER TABLE invitations DROP COLUMN decision;
