-- +goose Up
-- The detail where it is longer than the column detail holds, which the release before reads and
-- writes alone.
ALTER TABLE audit ADD COLUMN whole_detail {{text}} NULL;

-- +goose Down
ALTER TABLE audit DROP COLUMN whole_detail;
