-- +goose Up
-- One table of people, the organisation's staff. account is lower case; a phone is either nobody else's or NULL.
CREATE TABLE people (
    id                   {{id}},
    account              VARCHAR(64)  NOT NULL,
    phone                VARCHAR(32),
    name                 VARCHAR(128) NOT NULL DEFAULT '',
    nickname             VARCHAR(128) NOT NULL DEFAULT '',
    role                 INTEGER      NOT NULL,
    status               INTEGER      NOT NULL DEFAULT 1,
    password_hash        VARCHAR(255) NOT NULL DEFAULT '',
    must_change_password {{bool}}     NOT NULL DEFAULT FALSE,
    token_epoch          BIGINT       NOT NULL DEFAULT 0,
    last_login_at        BIGINT,
    created_at           BIGINT       NOT NULL,
    updated_at           BIGINT       NOT NULL,
    CONSTRAINT people_account UNIQUE (account),
    CONSTRAINT people_phone UNIQUE (phone)
) {{table}};
