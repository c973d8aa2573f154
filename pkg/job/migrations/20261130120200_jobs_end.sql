-- +goose Up
-- What a successful run leaves. It stays empty in rows that a process of the release before ends.
ALTER TABLE jobs ADD COLUMN job_end {{text}};

-- +goose Down
ALTER TABLE jobs DROP COLUMN job_end;
