package database

import (
	"strconv"
	"strings"
)

// rebind turns the ? placeholders of a statement into PostgreSQL's $1, $2, ... and leaves alone the
// question marks inside string literals, quoted identifiers, comments and dollar quotes. A doubled
// ?? outside of those is one question mark, for the JSON operators.
func rebind(query string) string {
	if strings.IndexByte(query, '?') < 0 {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 16)
	n := 0
	for i := 0; i < len(query); {
		end := skipQuoted(query, i)
		switch {
		case end > i:
			b.WriteString(query[i:end])
			i = end
		case query[i] != '?':
			b.WriteByte(query[i])
			i++
		case i+1 < len(query) && query[i+1] == '?':
			b.WriteByte('?')
			i += 2
		default:
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			i++
		}
	}
	return b.String()
}

// skipQuoted returns the end of the literal, identifier or comment that starts at i, or i when none
// starts there.
func skipQuoted(query string, i int) int {
	rest := query[i:]
	switch {
	case rest[0] == '\'':
		return i + quotedLen(rest, '\'', isEscapeString(query, i))
	case rest[0] == '"':
		return i + quotedLen(rest, '"', false)
	case strings.HasPrefix(rest, "--"):
		if end := strings.IndexByte(rest, '\n'); end >= 0 {
			return i + end
		}
		return len(query)
	case strings.HasPrefix(rest, "/*"):
		return i + commentLen(rest)
	case rest[0] == '$' && !isWordByte(before(query, i)):
		return i + dollarQuotedLen(rest)
	}
	return i
}

// isEscapeString reports whether the quote at i belongs to PostgreSQL's E'...', where a backslash
// escapes.
func isEscapeString(query string, i int) bool {
	return (before(query, i)|0x20) == 'e' && !isWordByte(before(query, i-1))
}

// quotedLen measures a literal or identifier with its quotes; an open one reaches to the end. A
// doubled quote needs no care: it reads as one literal after another.
func quotedLen(s string, quote byte, backslash bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case backslash && s[i] == '\\':
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

// commentLen measures a block comment; PostgreSQL nests them.
func commentLen(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// dollarQuotedLen measures $tag$...$tag$, or returns 0 when s does not start one.
func dollarQuotedLen(s string) int {
	end := 1
	for end < len(s) && isWordByte(s[end]) {
		end++
	}
	if end >= len(s) || s[end] != '$' || (end > 1 && s[1] >= '0' && s[1] <= '9') {
		return 0
	}
	tag := s[:end+1]
	if close := strings.Index(s[len(tag):], tag); close >= 0 {
		return 2*len(tag) + close
	}
	return len(s)
}

// before returns the byte in front of i, or a space at the start.
func before(s string, i int) byte {
	if i <= 0 {
		return ' '
	}
	return s[i-1]
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}
