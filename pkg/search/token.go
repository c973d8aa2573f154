package search

import (
	"slices"
	"strings"

	"exporthub/pkg/database"
)

// suffixRunes is how much of a text from one of its characters on is stored: a longer query is looked up by its beginning
// and then compared. Migrations name the same length.
const suffixRunes = 24

// Query is what is looked for.
type Query struct {
	text  string
	runes []rune
}

// Parse returns the query of a text that somebody typed.
func Parse(s string) Query {
	text := strings.TrimSpace(Fold(s))
	return Query{text, []rune(text)}
}

// Empty reports whether there is nothing to look for, which every row matches.
func (q Query) Empty() bool { return q.text == "" }

// tokens are in every text that matches; for one and two characters nothing else is.
func (q Query) tokens() []string {
	if len(q.runes) == 1 {
		return []string{q.text}
	}
	return distinct(pairs(nil, q.runes))
}

// certain reports whether having the tokens is matching.
func (q Query) certain() bool { return len(q.runes) <= 2 }

// bounds are the first suffix of a match and the first one above all matches.
func (q Query) bounds() (from, below string) {
	head := string(q.runes[:min(len(q.runes), suffixRunes)])
	return head, head + string(beyond)
}

// pattern is the query for LIKE.
func (q Query) pattern() string { return database.Contains(q.text) }

// Tokens returns every character and every pair of neighbours within one field of a Text, each once.
func Tokens(text string) []string {
	var all []string
	for field := range strings.SplitSeq(text, separator) {
		runes := []rune(field)
		for _, r := range runes {
			all = append(all, string(r))
		}
		all = pairs(all, runes)
	}
	return distinct(all)
}

func pairs(into []string, runes []rune) []string {
	for i := range len(runes) - 1 {
		into = append(into, string(runes[i:i+2]))
	}
	return into
}

// suffixes returns what stands in a Text from each of its characters on, to the field's end or the stored length, each
// once.
func suffixes(text string) []string {
	var all []string
	for field := range strings.SplitSeq(text, separator) {
		runes := []rune(field)
		for i := range runes {
			all = append(all, string(runes[i:min(i+suffixRunes, len(runes))]))
		}
	}
	return distinct(all)
}

func distinct(all []string) []string {
	slices.Sort(all)
	return slices.Compact(all)
}
