package dataset

import (
	"encoding/json"
	"fmt"
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

// CheckFilter refuses a filter by a column that the viewer may not see, or only masked: the number
// of rows it lets through would tell what is hidden, digit by digit. A filter is by a column when
// its JSON name is the column's key. The answer is the same whether anything matches or not.
func (d Dataset) CheckFilter(filter any, can func(permission string) bool) error {
	if filter == nil {
		return nil
	}
	data, err := json.Marshal(filter)
	if err != nil {
		return fmt.Errorf("filter of %s: %w", d.Name, err)
	}
	var set map[string]any
	if err := json.Unmarshal(data, &set); err != nil {
		return fmt.Errorf("filter of %s: %w", d.Name, err)
	}
	view := d.View(can)
	var refused []errs.Field
	for _, c := range d.Columns {
		if value, named := set[c.Key]; !named || value == nil || value == "" {
			continue
		}
		if !view.Sees(c.Key) || view[c.Key].Masked {
			refused = append(refused, errs.Field{Name: c.Key, Reason: "没有查看该列完整内容的权限，不能按它筛选"})
		}
	}
	if len(refused) > 0 {
		return &errs.Error{Kind: errs.Invalid, Fields: refused}
	}
	return nil
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
