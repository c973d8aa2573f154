-- +goose Up
-- A job's lifecycle and its kind's stage, where one column held both. The release before goes on
-- writing that column alone, so this adds and changes nothing: every new column has a default.
ALTER TABLE jobs ADD COLUMN stage VARCHAR(40) NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE jobs DROP COLUMN stage;
