package page

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"exporthub/test/program"
)

// The page's own suite: a real browser against this very program, the documented snippet on a page
// of another site.
func TestThePageInARealBrowser(t *testing.T) {
	a := program.StartEmbedded(t, "DEMO_ROWS=20000")
	suite := exec.Command("npm", "run", "--silent", "e2e")
	suite.Dir = filepath.Join(program.Repository(t), "web")
	suite.Env = append(os.Environ(), "BASE_URL="+a.URL)
	out, err := suite.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
