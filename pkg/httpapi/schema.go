package httpapi

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/danielgtaylor/huma/v2"
)

const schemaPrefix = "#/components/schemas/"

// newInputSchemas and newOutputSchemas make registries whose schemas say what this package does:
// input ignores unknown names and requires only what is tagged required, output has every key it
// declares.
func newInputSchemas() huma.Registry {
	return huma.NewMapRegistry(schemaPrefix, func(t reflect.Type, hint string) string { return schemaName(t, hint) + "Input" })
}

func newOutputSchemas() huma.Registry { return huma.NewMapRegistry(schemaPrefix, schemaName) }

// publishedNames are the names under which the pages of lists stand in the description, by the
// letters of their envelopes. Integrators generate code from the description, so these names stay
// when the Go types get better ones.
var publishedNames = strings.NewReplacer("ModelsPage[", "PageA[", "ResultsPage[", "PageD[", "LaravelPage[", "PageE[")

// schemaName names a type with its package, since every system has a type called Row: crm.Row is
// CrmRow, and ModelsPage[crm.Row] is PageACrmRow.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := publishedNames.Replace(t.Name())
	if name == "" {
		name = hint
	} else if t.PkgPath() != "" {
		name = t.PkgPath() + "." + name
	}
	var b strings.Builder
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("[]*, ·", r) }) {
		part = path.Base(part)
		part = strings.TrimPrefix(part, "httpapi.")
		for _, word := range strings.FieldsFunc(part, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			runes := []rune(word)
			b.WriteRune(unicode.ToUpper(runes[0]))
			b.WriteString(string(runes[1:]))
		}
	}
	return b.String()
}

// inputSchema returns the schema of the input struct t, with everything the registry collected for
// it corrected.
func inputSchema(r huma.Registry, t reflect.Type) *huma.Schema {
	s := r.Schema(t, true, "Input")
	for name, schema := range r.Map() {
		if schema.Type != huma.TypeObject || schema.Properties == nil {
			continue
		}
		schema.AdditionalProperties, schema.Required, schema.AllOf = nil, nil, nil
		for _, f := range inputFields(r.TypeFromRef(schemaPrefix + name)) {
			property := schema.Properties[f.name]
			if property == nil {
				continue
			}
			if !reflect.PointerTo(f.Type).Implements(optionalType) {
				fixArrays(property)
			}
			ownTags(property, f)
			describeAliases(schema, property, f)
			if !f.required {
				continue
			}
			if len(f.aliases) == 0 {
				schema.Required = append(schema.Required, f.name)
			}
			// What is required must also say something: an empty text is as good as none.
			if property.Type == huma.TypeString && property.MinLength == nil && property.Format == "" {
				one := 1
				property.MinLength = &one
			}
		}
		slices.Sort(schema.Required)
	}
	return s
}

// The extensions of a schema that come from tags of our own.
const (
	// Labels are what people read for the choices of an enum, in their order: labels:"申请中,已通过".
	// Refusals name the choices by them.
	Labels = "x-enum-descriptions"
	// Clamps says that what is above the maximum is taken as the maximum: clamp:"1000".
	Clamps = "x-clamps"
)

// ownTags reads the tags that huma does not know. Like huma it panics at what can't be right.
func ownTags(property *huma.Schema, f inputField) {
	extend := func(schema *huma.Schema, name string, value any) {
		if schema.Extensions == nil {
			schema.Extensions = map[string]any{}
		}
		schema.Extensions[name] = value
	}
	if text := f.Tag.Get("labels"); text != "" {
		labels := strings.Split(text, ",")
		chosen := property
		if property.Items != nil {
			chosen = property.Items // a list of choices
		}
		if len(labels) != len(chosen.Enum) {
			panic(fmt.Sprintf("field %s: %d labels for %d choices", f.Name, len(labels), len(chosen.Enum)))
		}
		extend(chosen, Labels, labels)
	}
	if text := f.Tag.Get("clamp"); text != "" {
		limit, err := strconv.ParseFloat(text, 64)
		if err != nil {
			panic(fmt.Sprintf("field %s: clamp %q is no number", f.Name, text))
		}
		property.Maximum = &limit
		extend(property, Clamps, true)
	}
}

// describeAliases adds a field's other spellings. A required field must be there in one of them.
func describeAliases(schema, property *huma.Schema, f inputField) {
	if len(f.aliases) == 0 {
		return
	}
	oneOf := &huma.Schema{AnyOf: []*huma.Schema{{Required: []string{f.name}}}}
	for _, alias := range f.aliases {
		same := *property
		same.Description = "同 " + f.name
		schema.Properties[alias] = &same
		oneOf.AnyOf = append(oneOf.AnyOf, &huma.Schema{Required: []string{alias}})
	}
	if f.required {
		schema.AllOf = append(schema.AllOf, oneOf)
	}
}

// outputSchema returns the schema of the output type t.
func outputSchema(r huma.Registry, t reflect.Type) *huma.Schema {
	s := r.Schema(t, true, "Output")
	if s == nil {
		return &huma.Schema{}
	}
	fixArrays(s)
	for name, schema := range r.Map() {
		if schema.Type != huma.TypeObject || schema.Properties == nil {
			continue
		}
		schema.AdditionalProperties = nil
		for _, f := range reflect.VisibleFields(r.TypeFromRef(schemaPrefix + name)) {
			key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			property := schema.Properties[key]
			if property == nil {
				continue
			}
			fixArrays(property)
			if f.Type.Kind() == reflect.Pointer && property.Ref != "" && !strings.Contains(options, "omit") {
				schema.Properties[key] = &huma.Schema{Description: property.Description,
					AnyOf: []*huma.Schema{{Ref: property.Ref}, {Type: "null"}}}
			}
		}
	}
	return s
}

// fixArrays takes back that arrays may be null: none is, going in (null is absent) or out (nil is
// []).
func fixArrays(s *huma.Schema) {
	for ; s != nil && s.Type == huma.TypeArray; s = s.Items {
		s.Nullable = false
	}
}

// inputField is one declared field of an input struct, embedded structs flattened.
type inputField struct {
	reflect.StructField
	name     string
	header   string // filled from this request header only
	aliases  []string
	required bool
}

func inputFields(t reflect.Type) []inputField {
	var out []inputField
	for _, f := range reflect.VisibleFields(t) {
		if !f.IsExported() || f.Anonymous && f.Tag.Get("json") == "" || !flattened(t, f.Index) {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		header := f.Tag.Get("header")
		if name == "-" && header == "" {
			continue
		}
		if name == "" || name == "-" {
			name = f.Name
		}
		if header != "" {
			name = header
		}
		in := inputField{StructField: f, name: name, header: header, required: f.Tag.Get("required") == "true"}
		if a := f.Tag.Get("alias"); a != "" {
			in.aliases = strings.Split(a, ",")
		}
		out = append(out, in)
	}
	return out
}

// flattened reports whether every struct on the way to the field is embedded without a name of its
// own in JSON.
func flattened(t reflect.Type, index []int) bool {
	for n := 1; n < len(index); n++ {
		parent := t.FieldByIndex(index[:n])
		if parent.Tag.Get("json") != "" {
			return false
		}
		if parent.Type.Kind() == reflect.Pointer {
			panic("embedded pointers can't be input: embed the struct itself")
		}
	}
	return true
}
