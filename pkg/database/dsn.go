package database

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
)

// source is a parsed DSN.
type source struct {
	dialect Dialect
	raw     string   // for PostgreSQL, whose driver has the parser
	path    string   // SQLite: the file
	sync    string   // SQLite: PRAGMA synchronous
	url     *url.URL // MySQL
	tls     string   // MySQL: true, false, skip-verify or preferred
}

// parseDSN reads a DATABASE_URL. Errors never hold the password.
func parseDSN(dsn string) (source, error) {
	scheme, rest, found := strings.Cut(dsn, ":")
	if !found {
		return source{}, errors.New("database URL has no scheme (sqlite:PATH, postgres://host/name, mysql://host/name)")
	}
	switch scheme {
	case "sqlite":
		return parseSQLite(rest)
	case "postgres", "postgresql":
		return source{dialect: Postgres, raw: dsn}, nil
	case "mysql", "mariadb":
		return parseMySQL(dsn)
	}
	return source{}, fmt.Errorf("database URL has the unknown scheme %q: want sqlite, postgres or mysql", scheme)
}

func parseSQLite(rest string) (source, error) {
	path, query, _ := strings.Cut(rest, "?")
	path = strings.TrimPrefix(path, "//")
	if path == "" {
		return source{}, errors.New("sqlite database URL has no path: want sqlite:./data/app.db")
	}
	if strings.Contains(path, ":memory:") {
		// Connections of a shared in-memory database lock whole tables against each other: no
		// snapshots.
		return source{}, errors.New("sqlite database URL names :memory:, which has no snapshots: use a file (a temporary one for tests)")
	}
	s := source{dialect: SQLite, path: filepath.Clean(path), sync: "normal"}
	values, err := url.ParseQuery(query)
	if err != nil {
		return source{}, fmt.Errorf("sqlite database URL: %w", err)
	}
	for key := range values {
		switch v := strings.ToLower(values.Get(key)); {
		case key != "synchronous":
			return source{}, fmt.Errorf("sqlite database URL has the unknown parameter %q: only synchronous is known", key)
		case v != "off" && v != "normal" && v != "full":
			return source{}, fmt.Errorf("sqlite database URL: synchronous is %q, want off, normal or full", v)
		default:
			s.sync = v
		}
	}
	return s, nil
}

func parseMySQL(dsn string) (source, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		var problem *url.Error // its text repeats the URL with the password
		if errors.As(err, &problem) {
			err = problem.Err
		}
		return source{}, fmt.Errorf("mysql database URL: %w", err)
	}
	if u.Hostname() == "" || strings.Trim(u.Path, "/") == "" {
		return source{}, errors.New("mysql database URL needs a host and a database: mysql://user:password@host:3306/database")
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "3306")
	}
	s := source{dialect: MySQL, url: u, tls: "false"}
	for key := range u.Query() {
		if key != "tls" {
			return source{}, fmt.Errorf("mysql database URL has the unknown parameter %q: only tls is known", key)
		}
		s.tls = u.Query().Get("tls")
		switch s.tls {
		case "true", "false", "skip-verify", "preferred":
		default:
			return source{}, fmt.Errorf("mysql database URL: tls is %q, want true, false, skip-verify or preferred", s.tls)
		}
	}
	return s, nil
}
