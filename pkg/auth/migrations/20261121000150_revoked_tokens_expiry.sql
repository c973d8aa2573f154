-- +goose Up
CREATE INDEX revoked_tokens_expires ON revoked_tokens (expires_at);
