package database

import (
	"strings"
	"testing"
)

func TestParseDSN(t *testing.T) {
	for in, want := range map[string]source{
		"sqlite:./data/app.db":                  {dialect: SQLite, path: "data/app.db", sync: "normal"},
		"sqlite:///var/lib/app.db":              {dialect: SQLite, path: "/var/lib/app.db", sync: "normal"},
		"sqlite:/var/数 据.db?synchronous=FULL":   {dialect: SQLite, path: "/var/数 据.db", sync: "full"},
		"postgres://u@127.0.0.1/app":            {dialect: Postgres, raw: "postgres://u@127.0.0.1/app"},
		"postgresql://u@127.0.0.1/app?sslmode=": {dialect: Postgres, raw: "postgresql://u@127.0.0.1/app?sslmode="},
	} {
		got, err := parseDSN(in)
		if err != nil || got != want {
			t.Errorf("parseDSN(%q) = %+v, %v, want %+v", in, got, err, want)
		}
	}
	for in, host := range map[string]string{
		"mysql://u:p@db.example.com/app":          "db.example.com:3306",
		"mariadb://u@[::1]:3307/app?tls=true":     "[::1]:3307",
		"mysql://u:p%40%2F@127.0.0.1:3306/app":    "127.0.0.1:3306",
		"mysql://u@127.0.0.1:1/app?tls=preferred": "127.0.0.1:1",
	} {
		got, err := parseDSN(in)
		if err != nil || got.dialect != MySQL || got.url.Host != host {
			t.Errorf("parseDSN(%q) = %+v, %v, want host %s", in, got, err, host)
		}
	}
}

func TestParseDSNTellsWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"empty":                   {"", "no scheme"},
		"no scheme":               {"./app.db", "no scheme"},
		"unknown scheme":          {"oracle://u:geheim@h/app", `unknown scheme "oracle"`},
		"sqlite without path":     {"sqlite:", "no path"},
		"sqlite in memory":        {"sqlite::memory:", "no snapshots"},
		"sqlite parameter":        {"sqlite:a.db?cache=shared", `unknown parameter "cache"`},
		"sqlite synchronous":      {"sqlite:a.db?synchronous=maybe", `"maybe"`},
		"sqlite query":            {"sqlite:a.db?a=%zz", "invalid URL escape"},
		"mysql without database":  {"mysql://u:geheim@h:1", "needs a host and a database"},
		"mysql without host":      {"mysql:///app", "needs a host and a database"},
		"mysql parameter":         {"mysql://u:geheim@h/app?parseTime=true", `unknown parameter "parseTime"`},
		"mysql tls":               {"mysql://u:geheim@h/app?tls=1", `tls is "1"`},
		"mysql port":              {"mysql://u:geheim@h:port/app", "invalid port"},
		"mysql unescaped percent": {"mysql://u:geheim%@h/app", "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseDSN(c.in)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("parseDSN(%q): error %v, want %q in it", c.in, err, c.want)
			}
			if strings.Contains(err.Error(), "geheim") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func TestPostgresURLErrorHidesPassword(t *testing.T) {
	_, err := Open(t.Context(), "postgres://u:geheim@127.0.0.1:notaport/app", Options{})
	if err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("Open = %v, want an error without the password", err)
	}
}
