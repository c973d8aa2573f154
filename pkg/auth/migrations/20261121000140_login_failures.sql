-- +goose Up
-- Wrong passwords of one person (or one unknown account) from one address. wrong_at lists their times in microseconds.
CREATE TABLE login_failures (
    pair         VARCHAR(64)  NOT NULL PRIMARY KEY,
    wrong_at     VARCHAR(255) NOT NULL DEFAULT '',
    locked_until BIGINT       NOT NULL DEFAULT 0,
    expires_at   BIGINT       NOT NULL
) {{table}};
