package documents

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"exporthub/test/program"
)

// shellBlock matches what docs/api.md has to run.
var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The examples of the API's document work as they stand, one after another.
func TestExamplesOfTheAPIDocument(t *testing.T) {
	c := start(t)
	text, err := os.ReadFile(filepath.Join(program.Repository(t), "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	blocks := shellBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 7 {
		t.Fatalf("%d examples, want all of them", len(blocks))
	}
	for _, b := range blocks {
		script.WriteString(b[1] + "\n")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euxo", "pipefail", "-c", script.String())
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HUB="+c.URL)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
