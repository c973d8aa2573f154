package record

import (
	"fmt"
	"slices"

	"exporthub/pkg/dataset"
)

// DefaultFormat is what a request without a format gets.
const DefaultFormat = "xlsx"

// Formats are the file formats that exports can have, in the order in which people are offered
// them.
type Formats []dataset.Format

// Check refuses a list in which a name stands twice or the default format is missing.
func (f Formats) Check() error {
	names := f.Names()
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("export: format %q is registered twice", name)
		}
	}
	if !slices.Contains(names, DefaultFormat) {
		return fmt.Errorf("export: format %q is required", DefaultFormat)
	}
	return nil
}

// Get returns a format by its name.
func (f Formats) Get(name string) (dataset.Format, bool) {
	i := slices.IndexFunc(f, func(format dataset.Format) bool { return format.Name == name })
	if i < 0 {
		return dataset.Format{}, false
	}
	return f[i], true
}

// Names lists the names of the formats, in their order.
func (f Formats) Names() []string {
	var names []string
	for _, format := range f {
		names = append(names, format.Name)
	}
	return names
}
