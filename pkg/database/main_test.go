package database_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// schema is what the suite's tests need, in one file for all engines.
var schema = []fs.FS{fstest.MapFS{
	"migrations/20260101000000_suite.sql": {Data: []byte(`-- +goose Up
CREATE TABLE item (
	id {{id}},
	name VARCHAR(64) NOT NULL,
	note {{text}} NULL,
	raw {{bytes}} NULL,
	amount BIGINT NOT NULL DEFAULT 0,
	done {{bool}} NOT NULL DEFAULT FALSE,
	at BIGINT NULL
) {{table}};
CREATE UNIQUE INDEX item_name ON item (name);
CREATE TABLE counter (
	owner BIGINT NOT NULL PRIMARY KEY,
	used BIGINT NOT NULL
) {{table}};
CREATE TABLE child (
	id {{id}},
	item_id BIGINT NOT NULL,
	CONSTRAINT child_item FOREIGN KEY (item_id) REFERENCES item (id)
) {{table}};
`)},
}}
