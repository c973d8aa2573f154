package deploy

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"exporthub/pkg/config"
	"exporthub/test/program"
)

// stage is what one FROM of the Dockerfile makes.
type stage struct {
	base, name string
	env        map[string]string
	user       string
	cmd        []string
	exposed    []string
	copied     [][2]string // from the build context: source and destination
	runs       []string
	programs   []string // what COPY puts into /bin
	owned      []string // what COPY gives to the user
}

// built is the Dockerfile, read.
type built struct {
	stages []stage
	made   []string // directories that a RUN mkdir makes
}

// dockerfile reads the instructions that ours uses; another one fails the test.
func dockerfile(t *testing.T) built {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(program.Repository(t), "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	var b built
	for _, line := range strings.Split(string(text), "\n") {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "" || strings.HasPrefix(word, "#") {
			continue
		}
		if word == "FROM" {
			base, name, _ := strings.Cut(rest, " AS ")
			b.stages = append(b.stages, stage{base: base, name: name, env: map[string]string{}})
			continue
		}
		s := &b.stages[len(b.stages)-1]
		switch word {
		case "WORKDIR":
		case "ENV":
			for _, pair := range strings.Fields(rest) {
				key, value, _ := strings.Cut(pair, "=")
				s.env[key] = value
			}
		case "USER":
			s.user = rest
		case "EXPOSE":
			s.exposed = strings.Fields(rest)
		case "CMD":
			if err := json.Unmarshal([]byte(rest), &s.cmd); err != nil {
				t.Fatalf("CMD %s: %v", rest, err)
			}
		case "RUN":
			s.runs = append(s.runs, rest)
			if dirs, ok := strings.CutPrefix(rest, "mkdir -p "); ok {
				b.made = append(b.made, strings.Fields(dirs)...)
			}
		case "COPY":
			s.copy(strings.Fields(rest))
		default:
			t.Fatalf("the Dockerfile has %s, which this test does not know", word)
		}
	}
	return b
}

func (s *stage) copy(words []string) {
	from, owner := "", ""
	for strings.HasPrefix(words[0], "--") {
		flag, value, _ := strings.Cut(words[0], "=")
		switch flag {
		case "--from":
			from = value
		case "--chown":
			owner = value
		}
		words = words[1:]
	}
	to := words[len(words)-1]
	for _, source := range words[:len(words)-1] {
		if from == "" {
			s.copied = append(s.copied, [2]string{source, to})
		}
		if to == "/bin/" || path.Dir(to) == "/bin" {
			s.programs = append(s.programs, path.Base(source))
		}
	}
	if owner != "" && owner == "10001:10001" {
		s.owned = append(s.owned, to)
	}
}

func TestDockerfileBuildsThePrograms(t *testing.T) {
	d := dockerfile(t)
	if len(d.stages) != 3 {
		t.Fatalf("%d stages", len(d.stages))
	}
	page, programs, last := d.stages[0], d.stages[1], d.stages[2]
	root := program.Repository(t)

	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)[1]
	if !strings.HasPrefix(programs.base, "golang:"+string(version)+"-") {
		t.Errorf("built by %s, go.mod asks for %s", programs.base, version)
	}
	if !strings.HasPrefix(page.base, "node:20-") {
		t.Errorf("the page is built by %s", page.base)
	}
	build := regexp.MustCompile(`CGO_ENABLED=0 go build .*-o /out/ (.*)`).FindStringSubmatch(strings.Join(programs.runs, "\n"))
	if build == nil {
		t.Fatalf("nothing is built: %v", programs.runs)
	}
	for _, pkg := range strings.Fields(build[1]) {
		if _, err := os.Stat(filepath.Join(root, pkg, "main.go")); err != nil {
			t.Errorf("%s is no program: %v", pkg, err)
		}
		if !slices.Contains(last.programs, path.Base(pkg)) {
			t.Errorf("%s is built and not put into the image", pkg)
		}
	}
	scripts, err := os.ReadFile(filepath.Join(root, "web", "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range regexp.MustCompile(`npm --prefix web run (\S+)`).FindAllStringSubmatch(strings.Join(page.runs, "\n"), -1) {
		if !strings.Contains(string(scripts), `"`+script[1]+`":`) {
			t.Errorf("the page has no script %s", script[1])
		}
	}
}

func TestTheImageIsSmallAndUnprivileged(t *testing.T) {
	last := dockerfile(t).stages[2]
	if last.base != "scratch" || len(last.runs) > 0 || len(last.copied) > 0 {
		t.Errorf("the image starts from %s, runs %v, takes %v from the build context", last.base, last.runs, last.copied)
	}
	if user := regexp.MustCompile(`^([1-9]\d*):([1-9]\d*)$`); !user.MatchString(last.user) || !slices.Equal(last.cmd, []string{"api"}) {
		t.Errorf("it runs %v as %q", last.cmd, last.user)
	}
	// Nothing in it can resolve a zone but the program itself.
	environ := append(compose(t).environ("worker"), "TIMEZONE=Asia/Shanghai")
	cfg, err := config.Load(environ, "", config.Mode{})
	if err != nil {
		t.Fatal(err)
	}
	deps := exec.Command("go", "list", "-deps", "exporthub/cmd/worker")
	if out, err := deps.Output(); err != nil || !strings.Contains(string(out), "\ntime/tzdata\n") {
		t.Errorf("the worker has no zones of its own: %v", err)
	}
	for _, address := range []string{cfg.HTTPAddr, cfg.MetricsAddr} {
		if port := strings.TrimPrefix(address, ":"); !slices.Contains(last.exposed, port) {
			t.Errorf("%s is not among the exposed %v", address, last.exposed)
		}
	}
}

// What the Dockerfile copies is enough to build from, and nothing private gets in.
func TestTheBuildContextIsEnough(t *testing.T) {
	d, root, into := dockerfile(t), program.Repository(t), t.TempDir()
	ignored := dockerignore(t)
	for _, pair := range d.stages[1].copied {
		for _, source := range sourcesOf(t, root, pair[0]) {
			err := filepath.WalkDir(source, func(file string, e fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				rel, err := filepath.Rel(root, file)
				if err != nil {
					return err
				}
				if ignored(rel) {
					if e.IsDir() {
						return filepath.SkipDir
					}
					return nil
				}
				target := filepath.Join(into, rel)
				if e.IsDir() {
					return os.MkdirAll(target, 0o755)
				}
				if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
					return err
				}
				text, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				return os.WriteFile(target, text, 0o600)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, private := range []string{".env", ".git", "data", "bin", "web/node_modules", "web/dist", "pkg/x/.env", "compose.yaml"} {
		if !ignored(private) {
			t.Errorf("%s gets into the build context", private)
		}
	}
	// Stands for what the page's stage makes.
	if err := os.MkdirAll(filepath.Join(into, "web", "dist"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(into, "web", "dist", "index.html"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	list := exec.Command("go", "list", "-mod=readonly", "-deps", "-f", "{{if .Error}}{{.ImportPath}}: {{.Error}}{{end}}", "./cmd/api", "./cmd/worker")
	list.Dir, list.Env = into, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := list.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "" {
		t.Errorf("what is copied can't be built: %v\n%s", err, out)
	}
}

func sourcesOf(t *testing.T, root, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("COPY %s: nothing is there (%v)", pattern, err)
	}
	return found
}

// dockerignore reads .dockerignore: the last pattern that matches a path or a folder above it
// decides.
func dockerignore(t *testing.T) func(rel string) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(program.Repository(t), ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	return func(rel string) bool {
		rel, out := filepath.ToSlash(rel), false
		for _, line := range strings.Split(string(text), "\n") {
			if line == "" || line[0] == '#' {
				continue
			}
			pattern, except := strings.CutPrefix(line, "!")
			if underPattern(pattern, rel) {
				out = !except
			}
		}
		return out
	}
}

func underPattern(pattern, rel string) bool {
	deep, anywhere := strings.CutPrefix(pattern, "**/")
	for at := rel; at != "."; at = path.Dir(at) {
		name := at
		if anywhere {
			name = path.Base(at)
		}
		if ok, _ := path.Match(deep, name); ok {
			return true
		}
	}
	return false
}
