-- +goose Up
CREATE TABLE role_permissions (
    role       INTEGER      NOT NULL,
    permission VARCHAR(100) NOT NULL,
    PRIMARY KEY (role, permission)
) {{table}};
