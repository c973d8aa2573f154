package dataset

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// maxSheetName is how many UTF-16 units Excel allows in a sheet's name.
const maxSheetName = 31

// CheckSheetName reports why Excel would refuse a sheet of this name.
func CheckSheetName(name string) error {
	switch units := len(utf16.Encode([]rune(name))); {
	case units == 0:
		return fmt.Errorf("sheet name is empty")
	case units > maxSheetName:
		return fmt.Errorf("sheet name %q has %d UTF-16 units, at most %d are allowed", name, units, maxSheetName)
	case strings.ContainsAny(name, `:\/?*[]`):
		return fmt.Errorf(`sheet name %q holds one of :\/?*[]`, name)
	case strings.HasPrefix(name, "'") || strings.HasSuffix(name, "'"):
		return fmt.Errorf("sheet name %q begins or ends with an apostrophe", name)
	// Excel keeps this name for its own sheet of tracked changes.
	case strings.EqualFold(name, "History"):
		return fmt.Errorf("sheet name %q is reserved by Excel", name)
	}
	for _, r := range name {
		if r < 0x20 || r == 0xFFFD || r == 0xFFFE || r == 0xFFFF {
			return fmt.Errorf("sheet name %q holds a character that XML forbids", name)
		}
	}
	return nil
}
