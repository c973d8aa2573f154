package disk

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

// maxList is how many objects one List returns at most.
const maxList = 1000

// List returns objects in key order; the marker is the last key returned. A limit over 1,000 is
// 1,000.
func (s *Store) List(ctx context.Context, prefix, marker string, limit int) ([]storage.Info, string, error) {
	if err := storage.CheckPrefix(prefix); err != nil {
		return nil, "", err
	}
	if marker != "" {
		if err := storage.CheckKey(marker); err != nil {
			return nil, "", err
		}
	}
	if limit <= 0 {
		return nil, "", errs.Newf(errs.Invalid, "每页数量 %d 无效", limit)
	}
	// The marker need not exist any more: a caller that deletes what it lists goes on after it.
	l := &listing{ctx: ctx, fsys: s.root.FS(), prefix: prefix, marker: marker, limit: min(limit, maxList)}
	if err := l.walk("."); err != nil {
		return nil, "", err
	}
	if len(l.found) <= l.limit {
		return l.found, "", nil
	}
	page := l.found[:l.limit]
	return page, page[l.limit-1].Key, nil
}

// listing collects one object more than the limit, which shows whether there is a next page. It
// enters only folders that can hold keys of the prefix after the marker.
type listing struct {
	ctx            context.Context
	fsys           fs.FS
	prefix, marker string
	limit          int
	found          []storage.Info
}

// entry is a name in a folder and what its keys begin with: a folder's stand after "name-" and
// before "name0", where the slash puts them.
type entry struct {
	fs.DirEntry
	order string
}

func (l *listing) walk(dir string) error {
	if err := ended(l.ctx); err != nil {
		return err
	}
	// A whole folder is read and sorted for each page. Export folders are cleaned by age and stay
	// small enough; a directory handle kept between pages could not be shared by replicas.
	names, err := fs.ReadDir(l.fsys, dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		return classify("list", dir, err)
	}
	base := ""
	if dir != "." {
		base = dir + "/"
	}
	entries := make([]entry, 0, len(names))
	for _, d := range names {
		e := entry{d, base + d.Name()}
		if d.IsDir() {
			e.order += "/"
		}
		if l.wants(e) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.order, b.order) })
	for _, e := range entries {
		if len(l.found) > l.limit {
			return nil
		}
		if err := l.visit(base+e.Name(), e); err != nil {
			return err
		}
	}
	return nil
}

// wants reports whether an entry is, or may hold, objects of the prefix after the marker.
func (l *listing) wants(e entry) bool {
	if e.IsDir() {
		return (strings.HasPrefix(e.order, l.prefix) || strings.HasPrefix(l.prefix, e.order)) &&
			(e.order > l.marker || strings.HasPrefix(l.marker, e.order)) && storage.CheckPrefix(e.order) == nil
	}
	return e.Type().IsRegular() && strings.HasPrefix(e.order, l.prefix) && e.order > l.marker && storage.CheckKey(e.order) == nil
}

func (l *listing) visit(name string, e entry) error {
	if e.IsDir() {
		return l.walk(name)
	}
	stat, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return classify("list", name, err)
	}
	l.found = append(l.found, infoOf(name, stat))
	return nil
}
