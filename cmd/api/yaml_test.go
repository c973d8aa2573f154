package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// yamlMap is a mapping. Values are yamlMap, []any and string; a scalar is the text it is written as.
type yamlMap map[string]any

// parseYAML reads the part of YAML 1.2 that compose.yaml keeps to: block mappings and sequences, flow sequences of quoted
// texts, {}, scalars on one line, anchors, aliases and merge keys. Everything else is an error, so that the file stays in
// a form this reads as every other parser does.
func parseYAML(text string) (yamlMap, error) {
	p := &yamlParser{anchors: map[string]any{}}
	for i, raw := range strings.Split(text, "\n") {
		line := strings.TrimRight(raw, " ")
		if trimmed := strings.TrimLeft(line, " "); trimmed != "" && trimmed[0] != '#' {
			p.lines = append(p.lines, yamlLine{number: i + 1, indent: len(line) - len(trimmed), text: trimmed})
		}
	}
	v, err := p.block(0)
	if err != nil {
		return nil, err
	}
	if len(p.lines) > 0 {
		return nil, p.bad("is indented less than what it belongs to")
	}
	top, ok := v.(yamlMap)
	if !ok {
		return nil, fmt.Errorf("the document is not a mapping")
	}
	return top, nil
}

type yamlLine struct {
	number, indent int
	text           string
}

type yamlParser struct {
	lines   []yamlLine
	anchors map[string]any
}

func (p *yamlParser) bad(why string) error {
	return fmt.Errorf("line %d: %q %s", p.lines[0].number, p.lines[0].text, why)
}

// block reads the mapping or sequence that starts here, at this indent.
func (p *yamlParser) block(indent int) (any, error) {
	if len(p.lines) == 0 || p.lines[0].indent != indent {
		return nil, fmt.Errorf("a block of indent %d is empty", indent)
	}
	if strings.HasPrefix(p.lines[0].text, "- ") {
		return p.sequence(indent)
	}
	return p.mapping(indent)
}

func (p *yamlParser) sequence(indent int) (any, error) {
	var list []any
	for len(p.lines) > 0 && p.lines[0].indent == indent && strings.HasPrefix(p.lines[0].text, "- ") {
		item := strings.TrimPrefix(p.lines[0].text, "- ")
		if yamlKey.MatchString(item) {
			// A mapping whose first key stands on the dash's line.
			p.lines[0].indent, p.lines[0].text = indent+2, item
			v, err := p.mapping(indent + 2)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
			continue
		}
		v, err := p.scalar(item)
		if err != nil {
			return nil, err
		}
		p.lines = p.lines[1:]
		list = append(list, v)
	}
	return list, nil
}

var yamlKey = regexp.MustCompile(`^([A-Za-z_<][A-Za-z0-9_.<-]*):(?: +(.*))?$`)

func (p *yamlParser) mapping(indent int) (any, error) {
	m := yamlMap{}
	merged := yamlMap{}
	for len(p.lines) > 0 && p.lines[0].indent == indent {
		found := yamlKey.FindStringSubmatch(p.lines[0].text)
		if found == nil {
			return nil, p.bad("is no key")
		}
		key, rest := found[1], found[2]
		if _, twice := m[key]; twice {
			return nil, p.bad("is there twice")
		}
		v, err := p.value(indent, rest)
		if err != nil {
			return nil, err
		}
		if key == "<<" {
			from, ok := v.(yamlMap)
			if !ok {
				return nil, fmt.Errorf("a merge of %v, which is no mapping", v)
			}
			merged = from
			continue
		}
		m[key] = v
	}
	for key, v := range merged {
		if _, own := m[key]; !own {
			m[key] = v
		}
	}
	return m, nil
}

// value reads what a key stands for: the rest of its line, or the block below it.
func (p *yamlParser) value(indent int, rest string) (any, error) {
	name := ""
	if after, ok := strings.CutPrefix(rest, "&"); ok {
		name, rest, _ = strings.Cut(after, " ")
	}
	var v any
	var err error
	if rest != "" {
		if v, err = p.scalar(rest); err == nil {
			p.lines = p.lines[1:]
		}
	} else {
		key := p.lines[0]
		p.lines = p.lines[1:]
		if len(p.lines) == 0 || p.lines[0].indent <= indent {
			return nil, fmt.Errorf("line %d: %q has no value", key.number, key.text)
		}
		v, err = p.block(p.lines[0].indent)
	}
	if name != "" {
		p.anchors[name] = v
	}
	return v, err
}

var (
	yamlQuoted = regexp.MustCompile(`^"([^"\\]*)"$`)
	yamlFlow   = regexp.MustCompile(`^\[("[^"\\]*"(?:, "[^"\\]*")*)\]$`)
)

func (p *yamlParser) scalar(text string) (any, error) {
	if name, ok := strings.CutPrefix(text, "*"); ok {
		v, known := p.anchors[name]
		if !known {
			return nil, p.bad("names an anchor that is not above it")
		}
		return v, nil
	}
	if text == "{}" {
		return yamlMap{}, nil
	}
	if found := yamlQuoted.FindStringSubmatch(text); found != nil {
		return found[1], nil
	}
	if found := yamlFlow.FindStringSubmatch(text); found != nil {
		var list []any
		for _, item := range strings.Split(found[1], ", ") {
			list = append(list, strings.Trim(item, `"`))
		}
		return list, nil
	}
	if strings.ContainsAny(text[:1], "\"'[]{}>|&!%@`#,?") || strings.Contains(text, ": ") || strings.Contains(text, " #") {
		return nil, p.bad("is written in a way this test does not read")
	}
	return text, nil
}

func TestTheYAMLReaderReadsWhatComposeUses(t *testing.T) {
	got, err := parseYAML("a: &x\n  k: v\n  l:\n    - one: 1\n      two: \"2\"\n    - three\nb:\n  <<: *x\n  k: [\"p\", \"q r\"]\n# end\nc: {}\n")
	if err != nil {
		t.Fatal(err)
	}
	b := got["b"].(yamlMap)
	if l := b["l"].([]any); l[0].(yamlMap)["two"] != "2" || l[1] != "three" || b["k"].([]any)[1] != "q r" || got["a"].(yamlMap)["k"] != "v" {
		t.Errorf("read %v", got)
	}
	for name, text := range map[string]string{
		"a tab": "a:\n\tb: c", "a key twice": "a: b\na: c", "an unknown anchor": "a: *b", "a flow mapping": "a: {b: c}",
		"a block text": "a: |\n  b", "nothing": "a:", "a stray indent": "a: b\n  c: d", "a comment behind a value": "a: b # c",
	} {
		if v, err := parseYAML(text); err == nil {
			t.Errorf("%s was read as %v", name, v)
		}
	}
}
