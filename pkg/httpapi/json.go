package httpapi

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

// object is a JSON object whose keys keep their order.
type object struct {
	buf bytes.Buffer
	raw bool // buf holds a whole value
	err error
}

func (o *object) add(name string, value any) {
	if o.err != nil {
		return
	}
	sep := byte('{')
	if o.buf.Len() > 0 {
		sep = ','
	}
	o.buf.WriteByte(sep)
	o.encode(name)
	o.buf.WriteByte(':')
	if inner, ok := value.(*object); ok {
		o.buf.Write(inner.bytes())
		return
	}
	o.encode(value)
}

func (o *object) encode(value any) {
	enc := json.NewEncoder(&o.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(withoutNilSlices(value)); err != nil {
		o.err = err
		return
	}
	o.buf.Truncate(o.buf.Len() - 1) // Encode's newline
}

func (o *object) bytes() []byte {
	if o.raw {
		return o.buf.Bytes()
	}
	if o.buf.Len() == 0 {
		return []byte("{}")
	}
	return append(o.buf.Bytes(), '}')
}

// rawObject holds value itself.
func rawObject(value any) (*object, error) {
	o := &object{raw: true}
	o.encode(value)
	return o, o.err
}

// withoutNilSlices returns value with every nil slice made empty, since pages loop over what they
// get. What the handler returned is not touched: it may be shared. Values that write their own JSON
// are left alone.
func withoutNilSlices(value any) any {
	v := reflect.ValueOf(value)
	if !v.IsValid() {
		return value
	}
	if out, changed := emptied(v, 0); changed {
		return out.Interface()
	}
	return value
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	canHoldSlices sync.Map // reflect.Type → bool
)

// holdsSlices reports whether a value of t may hold a slice that encoding/json would write.
func holdsSlices(t reflect.Type) bool {
	if known, ok := canHoldSlices.Load(t); ok {
		return known.(bool)
	}
	holds := holdsSlicesIn(t, map[reflect.Type]bool{})
	canHoldSlices.Store(t, holds)
	return holds
}

func holdsSlicesIn(t reflect.Type, open map[reflect.Type]bool) bool {
	if t.Implements(jsonMarshaler) || t.Implements(textMarshaler) || open[t] {
		return false
	}
	open[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Slice:
		return true
	case reflect.Pointer, reflect.Map, reflect.Array:
		return holdsSlicesIn(t.Elem(), open)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); (f.IsExported() || f.Anonymous) && holdsSlicesIn(f.Type, open) {
				return true
			}
		}
	}
	return false
}

// emptied returns a copy of v without nil slices, and whether that differs from v. Beyond depth,
// which only a cycle reaches, it gives up and lets encoding/json report it.
func emptied(v reflect.Value, depth int) (reflect.Value, bool) {
	if depth > 100 || !holdsSlices(v.Type()) {
		return v, false
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return v, false
		}
		inner, changed := emptied(v.Elem(), depth+1)
		if !changed {
			return v, false
		}
		if v.Kind() == reflect.Interface {
			return inner, true
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(inner)
		return p, true
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return v, false // base64 text
		}
		if v.IsNil() {
			return reflect.MakeSlice(v.Type(), 0, 0), true
		}
		return emptiedItems(v, depth)
	case reflect.Map:
		return emptiedMap(v, depth)
	case reflect.Struct:
		return emptiedStruct(v, depth)
	}
	return v, false
}

func emptiedItems(v reflect.Value, depth int) (out reflect.Value, changed bool) {
	for i := range v.Len() {
		inner, differs := emptied(v.Index(i), depth+1)
		if !differs {
			continue
		}
		if !changed {
			out, changed = reflect.MakeSlice(v.Type(), v.Len(), v.Len()), true
			reflect.Copy(out, v)
		}
		out.Index(i).Set(inner)
	}
	if !changed {
		return v, false
	}
	return out, true
}

func emptiedMap(v reflect.Value, depth int) (out reflect.Value, changed bool) {
	for iter := v.MapRange(); iter.Next(); {
		inner, differs := emptied(iter.Value(), depth+1)
		if !differs {
			continue
		}
		if !changed {
			out, changed = reflect.MakeMapWithSize(v.Type(), v.Len()), true
			for all := v.MapRange(); all.Next(); {
				out.SetMapIndex(all.Key(), all.Value())
			}
		}
		out.SetMapIndex(iter.Key(), inner)
	}
	if !changed {
		return v, false
	}
	return out, true
}

func emptiedStruct(v reflect.Value, depth int) (out reflect.Value, changed bool) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		// omitzero leaves out a nil slice, but not an empty one.
		if v.Field(i).Kind() == reflect.Slice && v.Field(i).IsNil() && strings.Contains(f.Tag.Get("json"), ",omitzero") {
			continue
		}
		inner, differs := emptied(v.Field(i), depth+1)
		if !differs {
			continue
		}
		if !changed {
			out, changed = reflect.New(v.Type()).Elem(), true
			out.Set(v)
		}
		out.Field(i).Set(inner)
	}
	if !changed {
		return v, false
	}
	return out, true
}
