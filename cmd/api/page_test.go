package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The page's own suite: a real browser against this very program, the documented snippet on a page of another site.
func TestThePageInARealBrowser(t *testing.T) {
	a := startEmbedded(t, "DEMO_ROWS=20000")
	suite := exec.Command("npm", "run", "--silent", "e2e")
	suite.Dir = filepath.Join(repository(t), "web")
	suite.Env = append(os.Environ(), "BASE_URL="+a.url)
	out, err := suite.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
