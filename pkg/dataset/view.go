package dataset

import (
	"slices"

	"exporthub/pkg/errs"
)

// View is a dataset's columns as one viewer has them, by key. A list that shows its texts through
// it shows what that viewer's files hold.
type View map[string]Column

// View returns the columns a viewer may see. Without can, these are the ones for everybody.
func (d Dataset) View(can func(permission string) bool) View {
	v := make(View, len(d.Columns))
	for _, c := range d.Visible(can) {
		v[c.Key] = c
	}
	return v
}

// Sees reports whether the viewer may see a column, if only masked.
func (v View) Sees(key string) bool {
	_, seen := v[key]
	return seen
}

// Text returns a text of a column as the viewer sees it: whole, with its middle hidden, or empty
// where they may not see the column, or there is none of that key.
func (v View) Text(key, text string) string {
	c, seen := v[key]
	if !seen {
		return ""
	}
	return c.Shown(text)
}

// CheckShown compares columns as a file holds them (their keys, and whether they are Masked) with
// what the person who exported it may see now. A column they may not see any more, or only masked
// where the file holds it whole, is Forbidden and named by its title; so is one the dataset no
// longer has.
func (d Dataset) CheckShown(shown []Column, can func(permission string) bool) error {
	now := d.View(can)
	for _, c := range shown {
		title := c.Key
		if i := slices.IndexFunc(d.Columns, func(declared Column) bool { return declared.Key == c.Key }); i >= 0 {
			title = d.Columns[i].Title
		}
		if !now.Sees(c.Key) {
			return errs.Newf(errs.Forbidden, "导出人已没有查看列“%s”的权限", title)
		}
		// The reverse is fine: a file with hidden texts shows less than they may see.
		if now[c.Key].Masked && !c.Masked {
			return errs.Newf(errs.Forbidden, "导出人已没有查看列“%s”完整内容的权限", title)
		}
	}
	return nil
}
