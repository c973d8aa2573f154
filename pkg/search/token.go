package search

import (
	"slices"
	"strings"

	"exporthub/pkg/database"
)

// suffixRunes is how much of a text from one of its characters on is stored: a longer query is
// looked up by its beginning and then compared. Migrations name the same length.
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

// tokens are in every text that matches.
func (q Query) tokens() []string {
	if len(q.runes) == 1 {
		return []string{q.text}
	}
	return distinct(cover(q.runes))
}

// certain reports whether having the tokens is matching: the query is a token.
func (q Query) certain() bool { return len(q.runes) <= 2 || len(q.runes) == 3 && tripled(q.runes) }

// bounds are the first suffix of a match and the first one above all matches.
func (q Query) bounds() (from, below string) {
	// A longer query is found by its beginning; Compare then looks at the rest.
	head := string(q.runes[:min(len(q.runes), suffixRunes)])
	return head, head + string(beyond)
}

// pattern is the query for LIKE.
func (q Query) pattern() string { return database.Contains(q.text) }

// Tokens returns every character, every pair of neighbours and every three neighbouring ASCII
// letters or digits within one field of a Text, each once. A pair of digits is in every tenth phone
// number, and a fragment of one is nothing but such pairs: three digits are in every hundredth.
func Tokens(text string) []string {
	var all []string
	for field := range strings.SplitSeq(text, separator) {
		runes := []rune(field)
		for i := range runes {
			all = append(all, string(runes[i]))
			if i+2 <= len(runes) {
				all = append(all, string(runes[i:i+2]))
			}
			if i+3 <= len(runes) && tripled(runes[i:i+3]) {
				all = append(all, string(runes[i:i+3]))
			}
		}
	}
	return distinct(all)
}

// cover returns the longest tokens of a query of two characters or more: the threes, and the pairs
// that stand in none.
func cover(runes []rune) []string {
	var all []string
	within := func(from int) bool { return from >= 0 && from+3 <= len(runes) && tripled(runes[from:from+3]) }
	for i := range len(runes) - 1 {
		if within(i) {
			all = append(all, string(runes[i:i+3]))
		} else if !within(i - 1) {
			all = append(all, string(runes[i:i+2]))
		}
	}
	return all
}

// tripled reports whether three characters are a token.
func tripled(three []rune) bool {
	return !slices.ContainsFunc(three, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'z') })
}

// suffixes returns what stands in a Text from each of its characters on, to the field's end or the
// stored length, each once.
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
