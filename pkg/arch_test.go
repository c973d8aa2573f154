package pkg

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows is what each package may import of ours. A package that is not listed may not exist.
// "admin/*" stands for every system. Names are relative to pkg; a leading slash makes them relative
// to the module.
var arrows = map[string][]string{
	"errs": {}, "event": {}, "page": {}, "telemetry": {}, "config": {}, "backoff": {}, "localserver": {}, "/web": {},
	"bayeux": {
		"bayeux/internal/protocol", "bayeux/internal/queue", "bayeux/internal/history",
		"bayeux/internal/timer", "bayeux/internal/ratelog",
	},
	"bayeux/internal/protocol": {},
	"bayeux/internal/queue":    {},
	"bayeux/internal/history":  {"bayeux/internal/protocol"},
	"bayeux/internal/timer":    {},
	"bayeux/internal/ratelog":  {},
	// The suite that every Memory has to pass.
	"bayeux/internal/memorytest": {"bayeux"},
	"bayeux/redisbus":            {"bayeux"},
	"bayeux/bayeuxd":             {"bayeux", "bayeux/redisbus", "/web"},
	"database":                   {"backoff", "errs"},
	"search":                     {"database", "errs"},
	"ratelimit":                  {"errs"},
	"storage":                    {"errs"},
	"storage/disk":               {"storage", "errs"},
	"storage/qiniu":              {"backoff", "storage", "errs"},
	"httpapi":                    {"page", "errs", "telemetry"},
	"audit":                      {"database"},
	"auth":                       {"audit", "database", "event", "httpapi", "page", "errs"},
	"dataset":                    {"database", "page", "errs"},
	"job":                        {"backoff", "database", "event", "errs", "telemetry"},
	"export": {"audit", "export/record", "export/attempt", "export/delivery", "export/retention", "export/routes",
		"dataset", "job", "event", "storage", "auth", "database", "httpapi", "page", "errs"},
	"export/record":    {"dataset", "job", "auth", "database", "errs"},
	"export/attempt":   {"export/record", "backoff", "dataset", "job", "storage", "auth", "database", "errs"},
	"export/delivery":  {"audit", "export/record", "backoff", "dataset", "job", "storage", "auth", "database", "errs"},
	"export/retention": {"export/record", "job", "storage", "database", "errs"},
	// It serves what delivery opens, and describes the datasets.
	"export/routes": {"export/record", "export/delivery", "dataset", "job", "auth", "database", "httpapi", "errs"},
	"export/exporttest": {"export", "export/record", "export/retention", "export/csv", "export/xlsx", "/jobs", "job", "event", "dataset", "storage",
		"storage/disk", "auth", "database", "database/dbtest", "httpapi", "testkit"},
	"export/xlsx":             {"dataset", "errs"},
	"export/csv":              {"dataset", "errs"},
	"export/bench":            {"export/xlsx", "export/csv", "dataset", "database"},
	"admin":                   {"auth", "database", "dataset", "event", "job", "httpapi", "page", "errs"},
	"admin/*":                 {"admin", "audit", "dataset", "event", "job", "database", "search", "auth", "httpapi", "page", "errs"},
	"admin/all":               {"admin", "admin/*"},
	"admin/admintest":         {"admin", "dataset", "event", "database", "httpapi", "page"},
	"/jobs":                   {"job", "errs", "telemetry"},
	"":                        {},
	"testkit":                 {"testkit/internal/server"},
	"testkit/internal/server": {"localserver"},
	"testkit/ran":             {},
	"testkit/services":        {"testkit", "testkit/internal/server"},
	"database/dbtest":         {"database", "testkit"},
	"storage/storagetest":     {"storage", "errs"},
	"storage/qiniu/fake":      {},

	"storage/qiniu/fake/cmd": {"storage/qiniu/fake"},
}

// forTests are the packages that only tests, and commands made for tests, may import.
var forTests = []string{"testkit", "testkit/internal/server", "testkit/ran", "database/dbtest", "storage/storagetest", "admin/admintest",
	"bayeux/internal/memorytest",
	"export/exporttest", "storage/qiniu/fake", "storage/qiniu/fake/cmd"}

// source is one Go file: its package's name as in arrows, its path, and what it imports.
type source struct {
	pkg, file string
	imports   []string
	test      bool
}

func sources(t *testing.T) []source {
	t.Helper()
	var found []source
	root := ".."
	for _, top := range []string{"pkg", "jobs", "web", "cmd", "test"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "dist") {
				return filepath.SkipDir
			}
			if !strings.HasSuffix(file, ".go") {
				return nil
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, filepath.Dir(file))
			if err != nil {
				return err
			}
			s := source{pkg: name(filepath.ToSlash(rel)), file: file, test: strings.HasSuffix(file, "_test.go")}
			for _, spec := range parsed.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				s.imports = append(s.imports, imported)
			}
			found = append(found, s)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// name turns a folder or import path below the module into a name as in arrows.
func name(dir string) string {
	if dir == "pkg" {
		return ""
	}
	if rest, ok := strings.CutPrefix(dir, "pkg/"); ok {
		return rest
	}
	return "/" + dir
}

// kind is the key under which a package stands in arrows.
func kind(pkg string) string {
	if _, ok := arrows[pkg]; ok {
		return pkg
	}
	if path.Dir(pkg) == "admin" {
		return "admin/*"
	}
	return pkg
}

func TestArrows(t *testing.T) {
	for _, s := range sources(t) {
		if strings.HasPrefix(s.pkg, "/cmd") || strings.HasPrefix(s.pkg, "/test/") {
			continue // cmd fits everything together, and test drives what it made
		}
		allowed, known := arrows[kind(s.pkg)]
		if !known {
			t.Errorf("%s: package %s has no place in the table; name it there with what it may import", s.file, s.pkg)
			continue
		}
		for _, imported := range s.imports {
			rest, ours := strings.CutPrefix(imported, "exporthub/")
			if !ours {
				continue
			}
			to := name(rest)
			switch {
			case to == s.pkg:
			case s.test: // a test may use what fits things together and what fakes the outside
			case slices.Contains(forTests, to) && !slices.Contains(allowed, to):
				t.Errorf("%s imports %s, which is for tests", s.file, to)
			case !slices.Contains(allowed, kind(to)):
				t.Errorf("%s: %s may not import %s", s.file, s.pkg, to)
			}
		}
	}
}

func TestTestPackagesStayOutOfThePrograms(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !strings.HasPrefix(s.pkg, "/cmd") {
			continue
		}
		for _, imported := range s.imports {
			rest, ours := strings.CutPrefix(imported, "exporthub/")
			if ours && (slices.Contains(forTests, name(rest)) || strings.HasPrefix(name(rest), "/test/")) {
				t.Errorf("%s imports %s, which is for tests", s.file, name(rest))
			}
		}
	}
}

// engine are the packages of the export engine that keep to one technology a file. The formats, the
// benchmark and the tests' harness beside them do not.
var engine = []string{"export", "export/record", "export/attempt", "export/delivery", "export/retention", "export/routes"}

// Inside a system and the engine only http*.go knows HTTP and only store*.go writes SQL.
func TestFilesKeepToTheirTechnology(t *testing.T) {
	for _, s := range sources(t) {
		base := filepath.Base(s.file)
		if s.test || kind(s.pkg) != "admin/*" && !slices.Contains(engine, s.pkg) {
			continue
		}
		for _, imported := range s.imports {
			switch imported {
			case "net/http", "github.com/go-chi/chi/v5":
				if !strings.HasPrefix(base, "http") {
					t.Errorf("%s imports %s: only http*.go may", s.file, imported)
				}
			case "database/sql", "github.com/huandu/go-sqlbuilder":
				if !strings.HasPrefix(base, "store") {
					t.Errorf("%s imports %s: only store*.go may", s.file, imported)
				}
			case "github.com/redis/go-redis/v9", "github.com/hibiken/asynq":
				t.Errorf("%s imports %s: systems and the engine know neither Redis nor the queue", s.file, imported)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), s.file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		documented[s.pkg] = documented[s.pkg] || parsed.Doc != nil && len(parsed.Doc.Text()) > 40
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

func TestEveryFolderInTheTableExists(t *testing.T) {
	for pkg := range arrows {
		dir := pkg
		if strings.HasPrefix(pkg, "/") {
			dir = ".." + pkg
		}
		if strings.HasSuffix(pkg, "*") || pkg == "" {
			continue
		}
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("the table has %s: %v", pkg, err)
		}
	}
}

// TestTheAuditIsOnlyAddedTo: no statement outside pkg/audit changes or removes a row of it.
func TestTheAuditIsOnlyAddedTo(t *testing.T) {
	found := false
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		text, err := os.ReadFile(s.file)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{"INSERT INTO audit ", "UPDATE audit ", "DELETE FROM audit "} {
			if !strings.Contains(string(text), statement) {
				continue
			}
			if found = true; s.pkg != "audit" {
				t.Errorf("%s has %q: only pkg/audit writes to the audit", s.file, statement)
			}
		}
	}
	if !found {
		t.Error("no statement writes to the audit; the test would miss one")
	}
}
