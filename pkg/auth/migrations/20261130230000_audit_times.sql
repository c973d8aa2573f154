-- +goose Up
-- How often what a row tells of has happened: refusals are counted, other rows are one event each.
ALTER TABLE audit ADD COLUMN times BIGINT NOT NULL DEFAULT 1;

-- +goose Down
ALTER TABLE audit DROP COLUMN times;
