-- +goose Up
-- Sessions (the first part of a token's jti) that were logged out, until the last of their tokens has ended by itself.
CREATE TABLE revoked_tokens (
    session    VARCHAR(64) NOT NULL PRIMARY KEY,
    user_id    BIGINT      NOT NULL,
    expires_at BIGINT      NOT NULL
) {{table}};
