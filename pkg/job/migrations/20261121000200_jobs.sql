-- +goose Up
CREATE TABLE jobs (
    uuid             VARCHAR(36) NOT NULL PRIMARY KEY,
    kind             VARCHAR(40) NOT NULL,
    owner_id         BIGINT NOT NULL,
    state            VARCHAR(20) NOT NULL,
    attempt          INTEGER NOT NULL,
    failures         INTEGER NOT NULL,
    takeovers        INTEGER NOT NULL,
    step             INTEGER NOT NULL,
    progress         INTEGER NOT NULL,
    payload          {{text}} NOT NULL,
    detail           {{text}} NOT NULL,
    failure          {{text}} NOT NULL,
    cancel_requested {{bool}} NOT NULL,
    run_at           BIGINT NOT NULL,
    lease_owner      VARCHAR(100) NOT NULL,
    lease_until      BIGINT,
    created_at       BIGINT NOT NULL,
    started_at       BIGINT,
    finished_at      BIGINT,
    updated_at       BIGINT NOT NULL
) {{table}};

-- What the reconciler asks every second: queued and due, held and expired.
CREATE INDEX jobs_due ON jobs (state, run_at, uuid);
CREATE INDEX jobs_lease ON jobs (state, lease_until);
-- A person's jobs, newest first; and those that are not over, or not long ago.
CREATE INDEX jobs_owner ON jobs (owner_id, created_at, uuid);
CREATE INDEX jobs_recent ON jobs (owner_id, finished_at);

-- Who leads which duty, until when. A row is there from the start, so that taking the lead is one conditional UPDATE.
CREATE TABLE leases (
    name  VARCHAR(40) NOT NULL PRIMARY KEY,
    owner VARCHAR(100) NOT NULL,
    until BIGINT NOT NULL
) {{table}};
INSERT INTO leases (name, owner, until) VALUES ('reconciler', '', 0);

-- +goose Down
DROP TABLE leases;
DROP TABLE jobs;
