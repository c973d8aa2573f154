-- +goose Up
-- Jobs that run while this is applied have their stage in state.
UPDATE jobs SET stage = state WHERE state NOT IN ('queued', 'success', 'failure', 'cancelled');
