package protocol

import "strings"

// ValidName reports whether s is a channel name: one or more non-empty segments of letters, digits
// and -_!~()$@, each after a slash. Dots, colons and percent signs are not in the grammar, so
// e-mail addresses and file names are no segments.
func ValidName(s string) bool {
	if len(s) < 2 || s[0] != '/' {
		return false
	}
	empty := true
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '/':
			if empty {
				return false
			}
			empty = true
		case nameByte(s[i]):
			empty = false
		default:
			return false
		}
	}
	return !empty
}

func nameByte(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	}
	return strings.IndexByte("-_!~()$@", b) >= 0
}

// ValidPattern reports whether s is a name, or nothing, followed by /* or /**. Wildcards stand
// last only: /a/*/b is neither a name nor a pattern.
func ValidPattern(s string) bool {
	base, ok := strings.CutSuffix(s, "/**")
	if !ok {
		base, ok = strings.CutSuffix(s, "/*")
	}
	return ok && (base == "" || ValidName(base))
}

// FirstSegment is the text between the first and the second slash of a valid name or pattern. It
// is what may be logged of a channel, since the rest can be a capability.
func FirstSegment(s string) string {
	s = strings.TrimPrefix(s, "/")
	first, _, _ := strings.Cut(s, "/")
	return first
}

// Reserved reports whether a valid name or pattern lies in the protocol's own /meta or /service.
// The segment is compared as a whole: matching a prefix of the text instead was an authentication
// bypass of Faye, mended in its 1.2.5.
func Reserved(s string) bool {
	first := FirstSegment(s)
	return first == "meta" || first == "service"
}

// PatternsOf appends to dst every pattern that matches the valid name: /a/b/c is matched by
// /a/b/*, /a/b/**, /a/** and /**. Of a name with n segments there are n+1, so a delivery looks up
// that many names, however many patterns are subscribed.
func PatternsOf(dst []string, name string) []string {
	end := strings.LastIndexByte(name, '/')
	dst = append(dst, name[:end]+"/*")
	for {
		dst = append(dst, name[:end]+"/**")
		if end == 0 {
			return dst
		}
		end = strings.LastIndexByte(name[:end], '/')
	}
}
