package search

import (
	"strings"
	"unicode"
)

// separator stands between the fields of a Text. Fold leaves none in a field or a query, so no
// match spans two fields.
const separator = "\n"

// beyond is the last code point. Fold leaves none, so it is above everything that begins with the
// same text.
const beyond = unicode.MaxRune

// What stands between a full-width form and its ASCII character.
const (
	wideFirst, wideLast = '\uFF01', '\uFF5E'
	wideOffset          = wideFirst - '!'
)

// Fold returns s as it is compared. It has as many characters as s.
func Fold(s string) string { return strings.Map(foldRune, s) }

func foldRune(r rune) rune {
	switch {
	case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
		return r
	case unicode.IsSpace(r) || unicode.IsControl(r):
		return ' '
	case wideFirst <= r && r <= wideLast:
		r -= wideOffset
	case r == beyond:
		return unicode.ReplacementChar
	}
	// By way of the upper case, so that letters with two lower cases (σ and ς) end as one.
	return unicode.ToLower(unicode.ToUpper(r))
}

// Text returns the fields of a row as they are searched: what Columns stores and Change takes.
func Text(fields ...string) string {
	folded := make([]string, len(fields))
	for i, f := range fields {
		folded[i] = Fold(f)
	}
	return strings.Join(folded, separator)
}

// Match reports whether a Text holds the query: what every index here has to agree with.
func Match(text string, q Query) bool { return strings.Contains(text, q.text) }
