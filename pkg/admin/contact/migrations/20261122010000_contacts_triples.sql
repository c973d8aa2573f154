-- +goose Up
-- Three neighbouring letters or digits became a token after rows had been written: those rows get theirs. The separator of
-- fields is none of them, so no token spans two fields.
{{if postgres}}UPDATE contacts SET search_tokens = search_tokens || ARRAY(
	SELECT DISTINCT substr(search_text, i, 3) FROM generate_series(1, length(search_text) - 2) AS i
	WHERE substr(search_text, i, 3) COLLATE "C" ~ '^[0-9a-z]{3}$');{{else}}SELECT 1;{{end}}

-- +goose Down
SELECT 1;
