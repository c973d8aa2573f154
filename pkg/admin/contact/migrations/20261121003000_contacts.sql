-- +goose Up
-- account_id 0 is none, so that the unique index holds without one too.
CREATE TABLE contacts (
	id {{id}},
	name VARCHAR(100) NOT NULL,
	position VARCHAR(100) NOT NULL,
	contact VARCHAR(100) NOT NULL,
	reply_status VARCHAR(32) NOT NULL,
	wechat_exchanged {{bool}} NOT NULL,
	account_id BIGINT NOT NULL,
	worker_id VARCHAR(100) NOT NULL,
	notes VARCHAR(1000) NOT NULL,
	contacted_at BIGINT,
	created_at BIGINT NOT NULL,
	version BIGINT NOT NULL,
	search_text VARCHAR(302) NOT NULL{{if postgres}},
	search_tokens TEXT[] NOT NULL{{end}}
){{table}};
CREATE INDEX contacts_newest ON contacts (created_at, id);
CREATE INDEX contacts_by_status ON contacts (reply_status, created_at, id);
CREATE UNIQUE INDEX contacts_once ON contacts (account_id, contact);
-- A short list of what is not in the index yet: every search reads it through.
{{if postgres}}CREATE INDEX contacts_by_token ON contacts USING gin (search_tokens) WITH (gin_pending_list_limit = 512);
{{else}}CREATE TABLE contacts_search (
	suffix VARCHAR(24) NOT NULL,
	id BIGINT NOT NULL,
	PRIMARY KEY (suffix, id)
){{if sqlite}} WITHOUT ROWID{{end}}{{table}};{{end}}

-- +goose Down
{{if postgres}}{{else}}DROP TABLE contacts_search;{{end}}
DROP TABLE contacts;
