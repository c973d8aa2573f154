package deploy

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// yamlMap is a mapping. Values are yamlMap, []any and string.
type yamlMap map[string]any

// parseYAML reads a document. Numbers and booleans become the texts that compose puts into an
// environment, so that a test compares one kind of value only. Merge keys are resolved; a key that
// is there twice is an error, as it is for compose.
func parseYAML(text string) (yamlMap, error) {
	var document map[string]any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return nil, err
	}
	return asText(document).(yamlMap), nil
}

func asText(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := yamlMap{}
		for key, value := range v {
			m[key] = asText(value)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = asText(item)
		}
		return list
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}
