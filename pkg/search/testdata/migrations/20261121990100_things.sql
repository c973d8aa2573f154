-- +goose Up
CREATE TABLE things (
	id {{id}},
	name VARCHAR(100) NOT NULL,
	phone VARCHAR(100) NOT NULL,
	colour VARCHAR(20) NOT NULL,
	search_text VARCHAR(201) NOT NULL,
	{{if postgres}}search_tokens TEXT[] NOT NULL,{{end}}
	created_at BIGINT NOT NULL
){{table}};
CREATE INDEX things_newest ON things (created_at, id);
{{if postgres}}CREATE INDEX things_by_token ON things USING gin (search_tokens);
{{else}}CREATE TABLE things_search (
	suffix VARCHAR(24) NOT NULL, id BIGINT NOT NULL, PRIMARY KEY (suffix, id)
){{if sqlite}} WITHOUT ROWID{{end}}{{table}};{{end}}

-- +goose Down
{{if postgres}}{{else}}DROP TABLE things_search;{{end}}
DROP TABLE things;
