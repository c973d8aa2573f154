package export

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"exporthub/pkg/dataset"
)

// decodeFilter reads a stored filter back into the dataset's own type.
func decodeFilter(set dataset.Dataset, stored json.RawMessage) (any, error) {
	filter := set.NewFilter()
	if err := json.Unmarshal(stored, filter); err != nil {
		return nil, fmt.Errorf("filter of %s: %w", set.Name, err)
	}
	return filter, nil
}

// describeFilter tells a person what a file was narrowed by.
func describeFilter(p payload) string {
	var values map[string]any
	if err := json.Unmarshal(p.Filter, &values); err != nil {
		return ""
	}
	var parts []string
	for name, value := range values {
		if value != nil && value != "" {
			parts = append(parts, fmt.Sprintf("%s = %v", name, value))
		}
	}
	slices.Sort(parts)
	if n := len(p.IDs); n > 0 {
		parts = append(parts, fmt.Sprintf("勾选的 %d 行", n))
	}
	if len(parts) == 0 {
		return "全部"
	}
	return strings.Join(parts, "; ")
}
