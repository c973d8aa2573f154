package database

import (
	"strings"
	"testing"
)

func TestRebind(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"none":                   {"SELECT 1", "SELECT 1"},
		"two":                    {"a = ? AND b = ?", "a = $1 AND b = $2"},
		"past nine":              {strings.Repeat("?,", 11), "$1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,"},
		"adjacent":               {"?+?", "$1+$2"},
		"literal":                {"a = '?' AND b = ?", "a = '?' AND b = $1"},
		"literal with quote":     {"a = 'it''s ?' AND b = ?", "a = 'it''s ?' AND b = $1"},
		"backslash is no escape": {`a = '\' AND b = ?`, `a = '\' AND b = $1`},
		"escape string":          {`a = E'\'?' AND b = ?`, `a = E'\'?' AND b = $1`},
		"word that ends in e":    {`a LIKE'\' AND b = ?`, `a LIKE'\' AND b = $1`},
		"identifier":             {`"what?" = ?`, `"what?" = $1`},
		"line comment":           {"a -- why?\n= ?", "a -- why?\n= $1"},
		"line comment at end":    {"a = ? -- why?", "a = $1 -- why?"},
		"block comment":          {"/* ? /* ? */ ? */ a = ?", "/* ? /* ? */ ? */ a = $1"},
		"minus is no comment":    {"? - ?", "$1 - $2"},
		"division is no comment": {"? / ?", "$1 / $2"},
		"dollar quote":           {"$$ ? $$ || ?", "$$ ? $$ || $1"},
		"tagged dollar quote":    {"$a$ ? $$ ? $a$ || ?", "$a$ ? $$ ? $a$ || $1"},
		"dollar in identifier":   {"a$b = ? AND c$b = ?", "a$b = $1 AND c$b = $2"},
		"doubled":                {"doc ?? 'key' AND a = ?", "doc ? 'key' AND a = $1"},
		"open literal":           {"'abc ?", "'abc ?"},
		"open comment":           {"/* ?", "/* ?"},
		"chinese":                {"姓名 = ? AND 电话 = '？?'", "姓名 = $1 AND 电话 = '？?'"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rebind(c.in); got != c.want {
				t.Errorf("rebind(%q)\n got %q\nwant %q", c.in, got, c.want)
			}
		})
	}
}

// FuzzRebind holds that nothing but placeholders changes, and that no input makes it fail.
func FuzzRebind(f *testing.F) {
	for _, seed := range []string{"a = ?", "'?'", "E'\\", "$a$?$a", "/*/", "??", "--"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := rebind(in)
		if strings.IndexByte(in, '?') < 0 && out != in {
			t.Errorf("rebind(%q) = %q without a placeholder", in, out)
		}
		if len(in) > 0 && len(out) == 0 {
			t.Errorf("rebind(%q) is empty", in)
		}
	})
}
