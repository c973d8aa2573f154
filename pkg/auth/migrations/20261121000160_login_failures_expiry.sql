-- +goose Up
CREATE INDEX login_failures_expires ON login_failures (expires_at);
