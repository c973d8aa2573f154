package httpapi

import (
	"encoding"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// plan is how one struct is filled: its fields with the schemas they are checked by. The schemas
// are the ones that go into the OpenAPI description, so check and description can't part.
type plan struct {
	fields []planField
}

type planField struct {
	inputField
	schema *huma.Schema
	def    any // the default as input, or nil
}

var plans sync.Map // reflect.Type of a struct → *planResult

type planResult struct {
	plan *plan
	err  error
}

// planOf returns the plan of struct type t, or why t can't be an input.
func planOf(t reflect.Type) (*plan, error) {
	if p, ok := plans.Load(t); ok {
		r := p.(*planResult)
		return r.plan, r.err
	}
	p, err := makePlan(t)
	r, _ := plans.LoadOrStore(t, &planResult{p, err})
	return r.(*planResult).plan, r.(*planResult).err
}

func makePlan(t reflect.Type) (p *plan, err error) {
	// huma reports tags it can't use by panicking.
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("input %s: %v", t, v)
		}
	}()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("input %s: must be a struct", t)
	}
	registry := newInputSchemas()
	root := inputSchema(registry, t)
	if root.Ref != "" {
		root = registry.SchemaFromRef(root.Ref)
	}
	p = &plan{}
	seen := map[string]bool{}
	for _, f := range inputFields(t) {
		for _, name := range append([]string{f.name}, f.aliases...) {
			if seen[name] {
				return nil, fmt.Errorf("input %s: two fields are called %q", t, name)
			}
			seen[name] = true
		}
		if err := bindable(f.Type); err != nil {
			return nil, fmt.Errorf("input %s: field %s: %w", t, f.Name, err)
		}
		schema := root.Properties[f.name]
		if f.header != "" {
			f.header = http.CanonicalHeaderKey(f.header)
			if f.Tag.Get("json") != "-" {
				return nil, fmt.Errorf(`input %s: field %s comes from a header and needs json:"-"`, t, f.Name)
			}
			schema = huma.SchemaFromField(registry, f.StructField, "Header")
			fixArrays(schema)
		}
		if schema == nil {
			return nil, fmt.Errorf("input %s: field %s has a type that can't be input", t, f.Name)
		}
		if err := checkable(schema); err != nil {
			return nil, fmt.Errorf("input %s: field %s: %w", t, f.Name, err)
		}
		field := planField{inputField: f, schema: schema}
		if err := field.checkSamples(t); err != nil {
			return nil, err
		}
		p.fields = append(p.fields, field)
	}
	return p, nil
}

// checkSamples holds a field's default and examples to its own rules, and keeps the default in the
// form of input.
func (f *planField) checkSamples(t reflect.Type) error {
	if f.schema.Default != nil {
		b, err := json.Marshal(f.schema.Default)
		if err != nil {
			return fmt.Errorf("input %s: field %s: default: %w", t, f.Name, err)
		}
		if f.def, err = parseJSON(b); err != nil {
			return fmt.Errorf("input %s: field %s: default: %w", t, f.Name, err)
		}
	}
	samples := slices.Clone(f.schema.Examples)
	if f.def != nil {
		samples = append(samples, f.def)
	}
	for _, sample := range samples {
		b := &binder{}
		b.bind(plain(sample), reflect.New(f.Type).Elem(), f.schema, f.name)
		if len(b.problems) > 0 {
			return fmt.Errorf("input %s: field %s: example or default %v: %s", t, f.Name, sample, b.problems[0].Reason)
		}
	}
	return nil
}

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	optionalType    = reflect.TypeFor[optional]()
	rawMessage      = reflect.TypeFor[json.RawMessage]()
)

// bindable reports whether the binder can fill t. Structs inside are planned in turn; a type may
// contain itself.
func bindable(t reflect.Type) error { return bindableIn(t, map[reflect.Type]bool{}) }

func bindableIn(t reflect.Type, open map[reflect.Type]bool) error {
	if open[t] || reflect.PointerTo(t).Implements(textUnmarshaler) || t == rawMessage {
		if t.PkgPath() == "time" {
			return fmt.Errorf("%s can't be input: use Bound, which knows local times", t)
		}
		return nil
	}
	open[t] = true
	if reflect.PointerTo(t).Implements(optionalType) {
		return bindableIn(t.Field(0).Type, open)
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64, reflect.Interface,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if t.Kind() == reflect.Interface && t.NumMethod() > 0 {
			break
		}
		return nil
	case reflect.Pointer, reflect.Slice:
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			break
		}
		return bindableIn(t.Elem(), open)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			break
		}
		return bindableIn(t.Elem(), open)
	case reflect.Struct:
		for _, f := range inputFields(t) {
			if err := bindableIn(f.Type, open); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%s can't be input", t)
}

// checkInput plans t and every struct inside it, so that a declaration that can't be right is found
// before any request.
func checkInput(t reflect.Type) error {
	open := map[reflect.Type]bool{}
	var walk func(t reflect.Type) error
	walk = func(t reflect.Type) error {
		if open[t] || reflect.PointerTo(t).Implements(textUnmarshaler) {
			return nil
		}
		open[t] = true
		if reflect.PointerTo(t).Implements(optionalType) {
			return walk(t.Field(0).Type)
		}
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			return walk(t.Elem())
		case reflect.Struct:
			p, err := planOf(t)
			if err != nil {
				return err
			}
			for _, f := range p.fields {
				if err := walk(f.Type); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return walk(t)
}
