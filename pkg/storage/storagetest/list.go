package storagetest

import (
	"strings"
	"testing"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

// keys stand in key order, which is not the order of folders: "a-b" stands before "a/b". None is a
// folder of another, which a disk can't hold.
var keys = []string{"a-b", "a/b", "a/b-c", "a/b0", "a/c/d", "a0", "b/a/x", "b/b", "字/字"}

// fill stores the keys from the last to the first, so that no store lists them in the order of
// writing by chance.
func fill(t *testing.T, s storage.Store) {
	t.Helper()
	for i := range keys {
		key := keys[len(keys)-1-i]
		put(t, s, key, []byte(key))
	}
}

// withPrefix returns the keys that fill stores under a prefix, in key order: what a list has to
// return.
func withPrefix(prefix string) (want []string) {
	for _, key := range keys {
		if strings.HasPrefix(key, prefix) {
			want = append(want, key)
		}
	}
	return want
}

// list: whole, under prefixes that end inside a segment, at a slash, at a key, or nowhere.
func list(t *testing.T, s storage.Store) {
	// An empty store lists nothing, and does not fail for want of a folder.
	onlyKeys(t, s)
	fill(t, s)
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/c", "a/c/d", "a/c/d/", "a/c/dd", "b/", "b", "字", "z"} {
		want := withPrefix(prefix)
		infos, next, err := s.List(t.Context(), prefix, "", 100)
		if err != nil || next != "" {
			t.Fatalf("list %q: next %q, %v", prefix, next, err)
		}
		var got []string
		for _, info := range infos {
			got = append(got, info.Key)
			if info.Size != int64(len(info.Key)) || info.Modified.IsZero() {
				t.Errorf("list %q: %+v", prefix, info)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("list %q: %q, want %q", prefix, got, want)
		}
	}
}

// listPages: pages of every size together give each key once, in order. A page may be short of the
// limit and not be the last: stores pass over foreign objects.
func listPages(t *testing.T, s storage.Store) {
	fill(t, s)
	for _, prefix := range []string{"", "a", "a/", "z"} {
		want := withPrefix(prefix)
		// Every limit, up to one that takes all at once.
		for limit := 1; limit <= len(keys)+1; limit++ {
			var got []string
			marker := ""
			for calls := 0; ; calls++ {
				infos, next, err := s.List(t.Context(), prefix, marker, limit)
				// The number of calls is bounded, for a marker that does not move on.
				if err != nil || len(infos) > limit || calls > len(keys) {
					t.Fatalf("call %d of list %q by %d: %d objects, %v", calls, prefix, limit, len(infos), err)
				}
				for _, info := range infos {
					got = append(got, info.Key)
				}
				if marker = next; next == "" {
					break
				}
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("list %q by %d: %q, want %q", prefix, limit, got, want)
			}
		}
	}
}

// badLists: a prefix that leaves the root is refused before the store is asked, and so is a limit
// that would return nothing for ever.
func badLists(t *testing.T, s storage.Store) {
	for name, c := range map[string]struct {
		prefix string
		limit  int
	}{"prefix outside": {"../", 10}, "absolute prefix": {"/", 10}, "no limit": {"", 0}, "negative limit": {"", -1}} {
		if _, _, err := s.List(t.Context(), c.prefix, "", c.limit); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
}
