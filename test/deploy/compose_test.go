package deploy

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/config"
	"exporthub/test/program"
)

// composed is compose.yaml with its variables filled in.
type composed struct {
	file     yamlMap
	services yamlMap
}

var interpolation = regexp.MustCompile(`\$\{([A-Z_]+)(?::([-?])([^}]*))?\}`)

// composeWith reads compose.yaml as compose does with these variables in .env.
func composeWith(t *testing.T, dotenv map[string]string) (composed, error) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(program.Repository(t), "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var missing error
	filled := interpolation.ReplaceAllStringFunc(string(text), func(ref string) string {
		found := interpolation.FindStringSubmatch(ref)
		switch value := dotenv[found[1]]; {
		case value != "":
			return value
		case found[2] == "-":
			return found[3]
		case missing == nil:
			missing = fmt.Errorf("required variable %s is missing: %s", found[1], found[3])
		}
		return ""
	})
	if missing != nil {
		return composed{}, missing
	}
	file, err := parseYAML(filled)
	if err != nil {
		t.Fatalf("compose.yaml: %v", err)
	}
	return composed{file: file, services: file["services"].(yamlMap)}, nil
}

// secrets are what has to be in .env.
func secrets() map[string]string {
	return map[string]string{
		"AUTH_SECRET":       program.Secret,
		"POSTGRES_PASSWORD": "pw0123456789",
		"REDIS_PASSWORD":    "pw9876543210",
	}
}

func compose(t *testing.T) composed {
	t.Helper()
	c, err := composeWith(t, secrets())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c composed) service(name string) yamlMap { return c.services[name].(yamlMap) }

// environ is what a service's process gets.
func (c composed) environ(name string) []string {
	var list []string
	for key, value := range c.service(name)["environment"].(yamlMap) {
		list = append(list, key+"="+value.(string))
	}
	slices.Sort(list)
	return list
}

// variables are all that the programs read.
func variables() map[string]bool {
	all := map[string]bool{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		if name := f.Tag.Get("env"); name != "" && name != "-" {
			all[name] = true
		}
	}
	return all
}

func words(v any) []string {
	var list []string
	for _, item := range v.([]any) {
		list = append(list, item.(string))
	}
	return list
}

func TestComposeSetsWhatTheProgramsRead(t *testing.T) {
	c := compose(t)
	known := variables()
	for _, name := range []string{"api", "worker"} {
		for _, v := range c.environ(name) {
			if key, _, _ := strings.Cut(v, "="); !known[key] {
				t.Errorf("%s: nothing reads %s", name, key)
			}
		}
		// With nothing but this environment the program's own check finds no problem.
		if _, err := config.Load(c.environ(name), "", config.Mode{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := composeWith(t, nil); err == nil {
		t.Error("without secrets nothing must start")
	}
	for _, secret := range []string{"AUTH_SECRET", "POSTGRES_PASSWORD", "REDIS_PASSWORD"} {
		dotenv := secrets()
		delete(dotenv, secret)
		if _, err := composeWith(t, dotenv); err == nil || !strings.Contains(err.Error(), secret) {
			t.Errorf("without %s: %v", secret, err)
		}
	}
	// Every other variable comes from .env.
	for _, name := range []string{"api", "worker"} {
		files := c.service(name)["env_file"].([]any)
		if len(files) != 1 || files[0].(yamlMap)["path"] != ".env" || files[0].(yamlMap)["required"] != "false" {
			t.Errorf("%s: env_file %v", name, files)
		}
	}
}

func TestComposePartsFindEachOther(t *testing.T) {
	c := compose(t)
	cfg, err := config.Load(c.environ("api"), "", config.Mode{})
	if err != nil {
		t.Fatal(err)
	}
	database, err := url.Parse(string(cfg.DatabaseURL))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := database.User.Password()
	own := c.service("postgres")["environment"].(yamlMap)
	if c.services[database.Hostname()] == nil || database.Port() != "5432" || own["POSTGRES_USER"] != database.User.Username() ||
		own["POSTGRES_PASSWORD"] != password || "/"+own["POSTGRES_DB"].(string) != database.Path {
		t.Errorf("DATABASE_URL %s and the database's own %v differ", database.Redacted(), own)
	}
	redis, err := url.Parse(string(cfg.RedisURL))
	if err != nil {
		t.Fatal(err)
	}
	if c.services[redis.Hostname()] == nil || redis.Port() != "6379" {
		t.Errorf("REDIS_URL %s leads nowhere", redis.Redacted())
	}
	cache := c.service("redis")
	redisPassword, _ := redis.User.Password()
	required := "--requirepass " + redisPassword + " "
	if redisPassword == "" || !strings.Contains(strings.Join(words(cache["command"]), " "), required) ||
		cache["environment"].(yamlMap)["REDISCLI_AUTH"] != redisPassword {
		t.Errorf("REDIS_URL %s and the server's own %v differ", redis.Redacted(), cache["command"])
	}
	if !slices.Equal(c.environ("api"), c.environ("worker")) {
		t.Error("api and worker are configured differently")
	}
	// The one address that is believed is the proxy's, and it is of the network.
	address := c.service("proxy")["networks"].(yamlMap)["default"].(yamlMap)["ipv4_address"].(string)
	subnet := c.file["networks"].(yamlMap)["default"].(yamlMap)["ipam"].(yamlMap)["config"].([]any)[0].(yamlMap)["subnet"].(string)
	if len(cfg.Proxies) != 1 || cfg.Proxies[0].String() != address+"/32" || !netip.MustParsePrefix(subnet).Contains(netip.MustParseAddr(address)) {
		t.Errorf("trusted %v, the proxy is %s of %s", cfg.Proxies, address, subnet)
	}
	for name := range c.services {
		for _, dependency := range slices.Sorted(maps.Keys(asMap(c.service(name)["depends_on"]))) {
			if c.services[dependency] == nil || c.service(dependency)["healthcheck"] == nil {
				t.Errorf("%s waits for the health of %s, which has none", name, dependency)
			}
		}
	}
}

func asMap(v any) yamlMap {
	m, _ := v.(yamlMap)
	return m
}

// No service keeps a capability that it does not need, or runs an image that may be another
// tomorrow.
func TestComposeServicesAreConfined(t *testing.T) {
	c := compose(t)
	exact := regexp.MustCompile(`^[a-z]+:\d+\.\d+(\.\d+)?-[a-z0-9.]+$`)
	allowed := []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "NET_BIND_SERVICE", "SETGID", "SETUID"}
	for name := range c.services {
		s := c.service(name)
		if !slices.Equal(words(s["cap_drop"]), []string{"ALL"}) {
			t.Errorf("%s keeps capabilities: %v", name, s["cap_drop"])
		}
		if !slices.Equal(words(s["security_opt"]), []string{"no-new-privileges:true"}) {
			t.Errorf("%s may gain privileges: %v", name, s["security_opt"])
		}
		if s["cap_add"] != nil {
			for _, capability := range words(s["cap_add"]) {
				if !slices.Contains(allowed, capability) || s["build"] != nil {
					t.Errorf("%s has the capability %s", name, capability)
				}
			}
		}
		if image := s["image"].(string); s["build"] == nil && !exact.MatchString(image) {
			t.Errorf("%s runs %s, which names no exact version", name, image)
		}
	}
}

func TestComposeScales(t *testing.T) {
	c := compose(t)
	for _, name := range []string{"api", "worker"} {
		for _, single := range []string{"container_name", "ports", "networks", "hostname"} {
			if c.service(name)[single] != nil {
				t.Errorf("%s has %s, so there can be one only", name, single)
			}
		}
		cfg, err := config.Load(c.environ(name), "", config.Mode{})
		if err != nil {
			t.Fatal(err)
		}
		grace, err := time.ParseDuration(c.service(name)["stop_grace_period"].(string))
		if err != nil {
			t.Fatal(err)
		}
		if least := max(cfg.DrainTimeout, closeTimeout(t)) + 5*time.Second; grace < least {
			t.Errorf("%s is killed after %s, and may need %s to end", name, grace, least)
		}
		// Files are shared by all, spools by none.
		mounted := map[string]string{}
		for _, v := range words(c.service(name)["volumes"]) {
			volume, dir, _ := strings.Cut(v, ":")
			mounted[dir] = volume
		}
		if mounted[cfg.StorageDir] == "" || mounted[cfg.SpoolDir] != "" || strings.HasPrefix(cfg.SpoolDir, cfg.StorageDir+"/") {
			t.Errorf("%s: mounted %v, files are in %s, the spool is %s", name, mounted, cfg.StorageDir, cfg.SpoolDir)
		}
		if c.file["volumes"].(yamlMap)[mounted[cfg.StorageDir]] == nil {
			t.Errorf("%s: volume %s is not declared", name, mounted[cfg.StorageDir])
		}
		// Two APIs and four workers find enough connections, with some for people.
		command := strings.Join(words(c.service("postgres")["command"]), " ")
		limit := regexp.MustCompile(`max_connections=(\d+)`).FindStringSubmatch(command)
		if n, err := strconv.Atoi(limit[1]); err != nil || n < (2+4)*(cfg.DatabasePool+4)+20 {
			t.Errorf("%d connections are too few for six processes", n)
		}
	}
	redis := strings.Join(words(c.service("redis")["command"]), " ")
	for _, want := range []string{"--appendonly yes", "--maxmemory-policy noeviction"} {
		if !strings.Contains(redis, want) {
			t.Errorf("redis is started without %s: %s", want, redis)
		}
	}
	for _, name := range []string{"redis", "postgres"} {
		if c.service(name)["volumes"] == nil {
			t.Errorf("%s keeps nothing", name)
		}
	}
}

func TestComposeRunsTheImagesPrograms(t *testing.T) {
	c, d := compose(t), dockerfile(t)
	last := d.stages[len(d.stages)-1]
	for _, name := range []string{"api", "worker"} {
		s := c.service(name)
		command := words(s["command"])
		if s["build"] != "." || s["entrypoint"] != nil || !slices.Contains(last.programs, command[0]) {
			t.Errorf("%s runs %v of an image with %v", name, command, last.programs)
		}
		if command[0] == "worker" && len(command) > 1 {
			t.Error("the worker takes no arguments")
		}
		if command[0] == "api" {
			accepts(t, command[1:]...)
		}
		cfg, err := config.Load(c.environ(name), "", config.Mode{})
		if err != nil {
			t.Fatal(err)
		}
		test := words(s["healthcheck"].(yamlMap)["test"])
		target, err := url.Parse(test[len(test)-1])
		if err != nil || !slices.Contains(last.programs, test[1]) {
			t.Errorf("%s: health is asked by %v, which the image has not", name, test)
		}
		if _, port, _ := net.SplitHostPort(cfg.MetricsAddr); port != target.Port() || target.Path != "/readyz" {
			t.Errorf("%s: health is asked at %s, METRICS_ADDR is %s", name, target, cfg.MetricsAddr)
		}
		// What the image says by itself and what compose says are the same.
		for key, value := range last.env {
			if set, ok := s["environment"].(yamlMap)[key]; ok && set != value {
				t.Errorf("%s: %s is %v here and %s in the image", name, key, set, value)
			}
			if !variables()[key] && key != "PATH" && key != "TMPDIR" {
				t.Errorf("the image sets %s, which nothing reads", key)
			}
		}
		// Volumes get the owner of the image's directory, so it has to be there.
		for _, dir := range []string{cfg.StorageDir, cfg.SpoolDir} {
			if !slices.Contains(d.made, dir) || !slices.Contains(last.owned, path.Dir(dir)) {
				t.Errorf("%s is not made in the image for its user: made %v, owned %v", dir, d.made, last.owned)
			}
		}
	}
}

// The commands in the comments and documents are ones the program has.
func TestComposeTellsOfRealFlags(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(program.Repository(t), "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`api api (-[a-z-]+)( \w+)?`).FindAllStringSubmatch(string(text), -1) {
		accepts(t, strings.Fields(found[1]+found[2])...)
	}
	// And a start in which everything is right but nothing can be reached names what is away, not
	// what is set.
	environ := append(compose(t).environ("api"),
		"HTTP_ADDR=127.0.0.1:0",
		"DATABASE_URL=postgres://exporthub:pw@127.0.0.1:1/exporthub?sslmode=disable",
	)
	p := program.Spawn(t, "api", environ)
	err = p.Ended(20 * time.Second)
	if logs := p.Logs.String(); err == nil || strings.Contains(logs, "configuration") || strings.Contains(logs, "pw@") {
		t.Errorf("ended with %v:\n%s", err, logs)
	}
}

// accepts fails the test unless the api takes these arguments. With -h behind them it reads all of
// them and then ends without doing anything.
func accepts(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(program.Build(t), "api"), append(args, "-h")...)
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("api %v: %v\n%s", args, err, out)
	}
}

// closeTimeout is how long an api waits for its answers when it is asked to end. It is a constant
// of the program's, so it is read from the source.
func closeTimeout(t *testing.T) time.Duration {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(program.Repository(t), "cmd", "api", "serve.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^const closeTimeout = (\d+) \* time\.Second$`).FindSubmatch(source)
	if found == nil {
		t.Fatal("cmd/api/serve.go has no closeTimeout in seconds")
	}
	seconds, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(seconds) * time.Second
}
