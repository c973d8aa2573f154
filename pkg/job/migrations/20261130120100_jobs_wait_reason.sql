-- +goose Up
-- Why a queued job is not run yet, in the words of its kind.
ALTER TABLE jobs ADD COLUMN wait_reason VARCHAR(200) NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE jobs DROP COLUMN wait_reason;
