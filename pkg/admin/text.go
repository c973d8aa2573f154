package admin

import (
	"strings"
	"unicode"
)

// Clean returns a text without white space and invisible characters around it, and without
// invisible characters inside a phone number. Texts that were copied from a chat or a contact list
// carry such characters: direction marks, zero-width spaces. They can't be seen, so a person who
// compares two records that differ by one sees the same text twice.
//
// Inside other text they stay, since they have a meaning there: emoji are joined by them.
func Clean(s string) string {
	s = strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || invisible(r) })
	if !strings.ContainsFunc(s, invisible) {
		return s
	}
	runes := []rune(s)
	var kept strings.Builder
	for i, r := range runes {
		if invisible(r) && inNumber(runes, i) {
			continue
		}
		kept.WriteRune(r)
	}
	return kept.String()
}

// Key is Clean with full-width characters folded to their usual forms. It is for what records are
// found by, not for what is shown: people keep the text as they entered it.
func Key(s string) string {
	return Clean(strings.Map(func(r rune) rune {
		switch {
		case r >= '！' && r <= '～':
			return r - '！' + '!'
		case r == '\u3000': // the full-width blank stands outside the block
			return ' '
		}
		return r
	}, s))
}

// invisible reports control and format characters (Cc, Cf). Tags are left out: a flag's emoji ends
// with them.
func invisible(r rune) bool {
	if r >= 0xE0020 && r <= 0xE007F {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf)
}

// inNumber reports whether the nearest visible characters on both sides of the i-th belong to a
// phone number.
func inNumber(runes []rune, i int) bool {
	before := i - 1
	for before >= 0 && invisible(runes[before]) {
		before--
	}
	after := i + 1
	for after < len(runes) && invisible(runes[after]) {
		after++
	}
	return before >= 0 && after < len(runes) && ofNumber(runes[before]) && ofNumber(runes[after])
}

// ofNumber reports what phone numbers are written with, full-width forms included.
func ofNumber(r rune) bool {
	if r >= '！' && r <= '～' {
		r = r - '！' + '!'
	}
	return r >= '0' && r <= '9' || strings.ContainsRune("+-() ", r)
}
