-- +goose Up
-- What makes rows that are counted one, on every replica; NULL for rows of one event.
ALTER TABLE audit ADD COLUMN bucket VARCHAR(64) NULL;

-- +goose Down
ALTER TABLE audit DROP COLUMN bucket;
