package page

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"exporthub/test/program"
	"exporthub/test/subscriber"
)

// The page's own suite: a real browser against this very program, the documented snippet on a page
// of another site.
func TestThePageInARealBrowser(t *testing.T) {
	a := program.StartEmbedded(t, "DEMO_ROWS=20000")
	suite := exec.Command("npm", "run", "--silent", "e2e")
	suite.Dir = filepath.Join(program.Repository(t), "web")
	told := filepath.Join(t.TempDir(), "events")
	suite.Env = append(os.Environ(), "BASE_URL="+a.URL, "EVENTS="+told)
	out, err := suite.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	checkStories(t, told)
}

// checkStories checks what the documented snippet was sent, which the suite has written down: one
// event a line, with the page that it came to.
func checkStories(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	stories := map[string]*subscriber.Story{}
	for line := range bytes.Lines(text) {
		var told struct {
			Page  string
			Event subscriber.Event
		}
		if err := json.Unmarshal(line, &told); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if stories[told.Page] == nil {
			stories[told.Page] = &subscriber.Story{Steady: true}
		}
		if err := stories[told.Page].Take(told.Event); err != nil {
			t.Errorf("the page %s received what it may not: %v", told.Page, err)
		}
	}
	if len(stories) < 2 {
		t.Errorf("%d pages have written down what they received", len(stories))
	}
}
