package storage

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"exporthub/pkg/errs"
)

func TestCheckKey(t *testing.T) {
	for key, good := range map[string]bool{
		"a": true, "a/b/c.xlsx": true, "报告/2026 年.pdf": true, "a..b": true, "a./b": true, "-": true, "~": true, "a:b": true,
		strings.Repeat("a", 200): true, strings.Repeat("a/", 255) + "ab": true,
		"": false, "/": false, "/a": false, "a/": false, "a//b": false, ".": false, "..": false, "a/../b": false, "a/./b": false,
		".a": false, "a/.tmp-1": false, `a\b`: false, "a\x00": false, "a\nb": false, "a\x7f": false, "a\xff": false,
		"a\u200bb": false, "a\u202eb": false, "a\uFEFF": false,
		strings.Repeat("a", 201): false, strings.Repeat("a/", 256) + "a": false,
	} {
		err := CheckKey(key)
		if (err == nil) != good || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("CheckKey(%.40q) = %v", key, err)
		}
	}
}

func TestCheckPrefix(t *testing.T) {
	for prefix, good := range map[string]bool{
		"": true, "a": true, "a/": true, "a/b": true,
		"/": false, "a//": false, ".": false, "a/.": false, "a\\": false, strings.Repeat("a", 201): false,
	} {
		err := CheckPrefix(prefix)
		if (err == nil) != good || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("CheckPrefix(%.40q) = %v", prefix, err)
		}
	}
}

func TestEveryBeginningOfAKeyIsAPrefix(t *testing.T) {
	key := "export/1763726400_报告/b c"
	for i := range key {
		if err := CheckPrefix(key[:i]); err != nil {
			t.Error(err)
		}
	}
}

const uuid = "0192f0c4-7c3e-4b6a-9d2e-5f1a2b3c4d5e"

func TestObjectKey(t *testing.T) {
	key, err := ObjectKey(1763726400, uuid, "xlsx")
	if want := "export/1763726400_" + uuid + ".xlsx"; err != nil || key != want {
		t.Errorf("ObjectKey = %q, %v, want %q", key, err, want)
	}
	for name, c := range map[string]struct {
		unix      int64
		uuid, ext string
	}{
		"no time":          {0, uuid, "xlsx"},
		"before 1970":      {-1, uuid, "xlsx"},
		"no uuid":          {1, "", "xlsx"},
		"upper-case uuid":  {1, strings.ToUpper(uuid), "xlsx"},
		"uuid without -":   {1, strings.ReplaceAll(uuid, "-", "0"), "xlsx"},
		"path in the uuid": {1, "../../" + uuid[6:], "xlsx"},
		"no extension":     {1, uuid, ""},
		"dot in extension": {1, uuid, "tar.gz"},
		"upper-case":       {1, uuid, "XLSX"},
		"path":             {1, uuid, "/x"},
		"long extension":   {1, uuid, "abcdefghijk"},
	} {
		if key, err := ObjectKey(c.unix, c.uuid, c.ext); key != "" || !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: ObjectKey = %q, %v, want an invalid error", name, key, err)
		}
	}
}

func TestParseObjectKeyUndoesObjectKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unix := rapid.Int64Min(1).Draw(t, "unix")
		id := rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`).Draw(t, "uuid")
		ext := rapid.StringMatching(`[0-9a-z]{1,10}`).Draw(t, "ext")
		key, err := ObjectKey(unix, id, ext)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckKey(key); err != nil {
			t.Fatal(err)
		}
		gotUnix, gotID, gotExt, err := ParseObjectKey(key)
		if gotUnix != unix || gotID != id || gotExt != ext || err != nil {
			t.Fatalf("ParseObjectKey(%q) = %d, %q, %q, %v", key, gotUnix, gotID, gotExt, err)
		}
	})
}

func TestParseObjectKeyRefusesOtherKeys(t *testing.T) {
	for _, key := range []string{
		"", "export/", "export/1", "export/1_", "1_" + uuid + ".xlsx", "/export/1_" + uuid + ".xlsx", "import/1_" + uuid + ".xlsx",
		"export/+1_" + uuid + ".xlsx", "export/01_" + uuid + ".xlsx", "export/-1_" + uuid + ".xlsx", "export/0_" + uuid + ".xlsx",
		"export/99999999999999999999_" + uuid + ".xlsx", "export/1_" + uuid, "export/1_" + uuid + ".", "export/1_" + uuid + ".a.b",
		"export/1_" + uuid + ".xlsx/", "export/a/1_" + uuid + ".xlsx", "export/1_" + uuid + ".xlsx\n", "export/1_" + strings.ToUpper(uuid) + ".xlsx",
	} {
		if _, _, _, err := ParseObjectKey(key); !errs.Is(err, errs.Invalid) {
			t.Errorf("ParseObjectKey(%q): %v, want an invalid error", key, err)
		}
	}
}
