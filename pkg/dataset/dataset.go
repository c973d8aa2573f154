package dataset

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// Viewer is for whom a dataset is read; systems whose rows have owners narrow by it.
type Viewer struct {
	UserID int64
	Can    func(permission string) bool
}

// Selection is what of a dataset is wanted.
type Selection struct {
	Viewer  Viewer
	Filter  any      // what NewFilter returned, filled
	Columns []string // keys in the wanted order; empty means every column the viewer may see
	IDs     []int64  // only these rows (ticked ones); empty means all that match the filter
}

// Dataset is one list that can be exported.
type Dataset struct {
	Name       string // stable name: invitation
	Service    string // name in progress events: Exports::Invitation
	Title      string // what people call it; also the sheet's name and the file's
	Permission string // who may export it
	Columns    []Column
	Header     HeaderStyle
	NoInfo     bool // leave out the information sheet

	// NewFilter returns a pointer to a fresh filter: the struct whose fields the list takes too.
	// Each field names the columns it is over in a tag (`column:"name,contact"`), see FilterFields.
	NewFilter func() any
	// Count returns how many rows match, inside the snapshot tx. It is given up where it takes
	// long.
	Count func(ctx context.Context, tx *database.Tx, s Selection) (int64, error)
	// Estimate returns at once about how many rows match, for when counting them takes too long. It
	// may be nil.
	Estimate func(ctx context.Context, tx *database.Tx, s Selection) (int64, error)
	// Rows streams the matching rows in a unique order, inside the snapshot tx, with the values of
	// columns in their order, hidden where a column is Masked. The yielded slice is reused. An
	// error ends the iteration and is its last element. The transaction is the iteration's until it
	// ends: it may read ahead.
	Rows func(ctx context.Context, tx *database.Tx, s Selection, columns []Column) iter.Seq2[[]Value, error]
}

// Visible returns the columns a viewer may see, in declared order, each with whether it is masked
// for them. Without can, these are the ones for everybody.
func (d Dataset) Visible(can func(permission string) bool) []Column {
	var seen []Column
	for _, c := range d.Columns {
		if c.Permission == "" || can != nil && can(c.Permission) {
			seen = append(seen, c.For(can))
		}
	}
	return seen
}

// Pick returns the columns with the given keys in that order. Without keys these are the visible
// ones that are not Extra. An unknown key, one the viewer may not see and a repeated one are
// Invalid and name the key; a viewer who may see no column at all is Forbidden.
func (d Dataset) Pick(keys []string, can func(permission string) bool) ([]Column, error) {
	return d.PickFor(Format{}, keys, can)
}

// PickFor is Pick for a file of a format: without keys, a Whole one holds the Extra columns too.
func (d Dataset) PickFor(f Format, keys []string, can func(permission string) bool) ([]Column, error) {
	visible := d.Visible(can)
	// Before the keys: to say which key is unknown would tell somebody without any right which
	// exist.
	if len(visible) == 0 {
		return nil, errs.New(errs.Forbidden, "没有查看任何一列的权限")
	}
	if len(keys) == 0 {
		usual := slices.DeleteFunc(slices.Clone(visible), func(c Column) bool { return c.Extra && !f.Whole })
		if len(usual) == 0 {
			return nil, errs.New(errs.Forbidden, "没有查看任何一列的权限")
		}
		return usual, nil
	}
	picked := make([]Column, 0, len(keys))
	for _, key := range keys {
		if slices.ContainsFunc(picked, func(c Column) bool { return c.Key == key }) {
			return nil, errs.Invalidf("columns", "列 %s 重复", key)
		}
		// One message for a key that does not exist and one the viewer may not see, so that keys
		// can't be probed.
		i := slices.IndexFunc(visible, func(c Column) bool { return c.Key == key })
		if i < 0 {
			return nil, errs.Invalidf("columns", "没有列 %s，或没有查看它的权限", key)
		}
		picked = append(picked, visible[i])
	}
	return picked, nil
}

// Registry holds the datasets of a program by name. It is made empty, so that what needs it can be
// made before the systems that declare the datasets; Register fills it before the program serves.
// It is not safe to register while others read.
type Registry struct{ byName map[string]Dataset }

// NewRegistry returns the registry of the given datasets; see Register.
func NewRegistry(datasets ...Dataset) (*Registry, error) {
	r := &Registry{byName: make(map[string]Dataset, len(datasets))}
	if err := r.Register(datasets...); err != nil {
		return nil, err
	}
	return r, nil
}

// Register checks datasets and adds them. A dataset without a name, permission, columns or query,
// one that Excel can't hold, one with a filter that does not say which columns it is over, and a
// name or column key used twice, are refused.
func (r *Registry) Register(datasets ...Dataset) error {
	for _, d := range datasets {
		if err := d.check(); err != nil {
			return fmt.Errorf("dataset %q: %w", d.Name, err)
		}
		if _, taken := r.byName[d.Name]; taken {
			return fmt.Errorf("dataset %q: declared twice", d.Name)
		}
		r.byName[d.Name] = d
	}
	return nil
}

// Get returns the dataset of that name.
func (r *Registry) Get(name string) (Dataset, bool) {
	d, ok := r.byName[name]
	return d, ok
}

// All returns the datasets ordered by name.
func (r *Registry) All() []Dataset {
	all := make([]Dataset, 0, len(r.byName))
	for _, name := range slices.Sorted(maps.Keys(r.byName)) {
		all = append(all, r.byName[name])
	}
	return all
}

// SeesAll reports whether a viewer sees every column of every dataset whole. Who does not may not
// receive what was made for somebody else: that person's files and events show what they may see.
func (r *Registry) SeesAll(can func(permission string) bool) bool {
	for _, d := range r.byName {
		view := d.View(can)
		for _, c := range d.Columns {
			if !view.Sees(c.Key) || view[c.Key].Masked {
				return false
			}
		}
	}
	return true
}

// What a sheet of Excel holds: columns, and characters in a column's width.
const (
	maxColumns = 16384
	maxWidth   = 255
)

func (d Dataset) check() error {
	switch {
	case d.Name == "" || d.Service == "" || d.Title == "":
		return fmt.Errorf("name, service and title are required")
	case d.Permission == "":
		return fmt.Errorf("a permission is required")
	case d.NewFilter == nil || d.Count == nil || d.Rows == nil:
		return fmt.Errorf("filter, count and rows, with a value for every column, are required")
	case len(d.Columns) == 0 || len(d.Columns) > maxColumns:
		return fmt.Errorf("has %d columns, want 1 to %d", len(d.Columns), maxColumns)
	}
	if err := CheckSheetName(d.Title); err != nil {
		return err
	}
	if err := d.Header.check(); err != nil {
		return err
	}
	if _, err := d.FilterFields(); err != nil {
		return err
	}
	keys := map[string]bool{}
	for _, c := range d.Columns {
		if c.Key == "" || c.Title == "" || keys[c.Key] {
			return fmt.Errorf("column %q: key and title are required and the key is unique", c.Key)
		}
		if c.Type > URL {
			return fmt.Errorf("column %q: type %d is unknown", c.Key, c.Type)
		}
		// Written this way round so that NaN is refused too.
		if !(c.Width >= 0 && c.Width <= maxWidth) {
			return fmt.Errorf("column %q: width %v, want 0 to %d characters", c.Key, c.Width, maxWidth)
		}
		if err := c.Mask.check(c.Type); err != nil {
			return fmt.Errorf("column %q: %w", c.Key, err)
		}
		keys[c.Key] = true
	}
	return nil
}

func (h HeaderStyle) check() error {
	for _, colour := range []string{h.Fill, h.Font} {
		if colour != "" && (len(colour) != 6 || strings.Trim(colour, "0123456789abcdefABCDEF") != "") {
			return fmt.Errorf("header colour %q, want RRGGBB", colour)
		}
	}
	return nil
}
