-- +goose Up
-- What the clean-up asks: the jobs that ended long ago, oldest first.
CREATE INDEX jobs_finished ON jobs (finished_at, uuid);
