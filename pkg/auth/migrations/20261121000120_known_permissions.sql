-- +goose Up
-- The permissions whose defaults were given out once, so that what an administrator took away stays away.
CREATE TABLE known_permissions (
    permission VARCHAR(100) NOT NULL PRIMARY KEY,
    seeded     INTEGER      NOT NULL DEFAULT 0
) {{table}};
