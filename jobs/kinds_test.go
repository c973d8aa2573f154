package jobs

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The table names the package that declares each kind: below that folder stands its name and the
// declaration. That the table and the registered kinds are the same is checked by every start.
func TestKindsNameTheirPackages(t *testing.T) {
	for _, k := range Kinds {
		named, defined := false, false
		err := filepath.WalkDir(filepath.Join("..", k.Package), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			named = named || bytes.Contains(source, []byte(strconv.Quote(k.Name)))
			defined = defined || bytes.Contains(source, []byte("job.Define("))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if !named || !defined {
			t.Errorf("kind %s: %s does not name (%t) or define (%t) it", k.Name, k.Package, named, defined)
		}
		if k.Does == "" {
			t.Errorf("kind %s: the table does not say what it does", k.Name)
		}
	}
}
