package bayeux

import "strings"

// validName reports whether s is a channel name: one or more non-empty segments of letters, digits and -_!~()$@, each
// after a slash.
func validName(s string) bool {
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

// ValidChannel reports whether events can be published to a channel of that name: it is valid in form, no pattern, and not in the
// protocol's own /meta or /service.
func ValidChannel(name string) bool { return validName(name) && !reserved(name) }

func nameByte(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	}
	return strings.IndexByte("-_!~()$@", b) >= 0
}

// validPattern reports whether s is a name, or nothing, followed by /* or /**.
func validPattern(s string) bool {
	base, ok := strings.CutSuffix(s, "/**")
	if !ok {
		base, ok = strings.CutSuffix(s, "/*")
	}
	return ok && (base == "" || validName(base))
}

// firstSegment is the text between the first and the second slash of a valid name or pattern. It is what may be logged of
// a channel, since the rest can be a capability.
func firstSegment(s string) string {
	s = strings.TrimPrefix(s, "/")
	first, _, _ := strings.Cut(s, "/")
	return first
}

// reserved reports whether a valid name or pattern lies in the protocol's own /meta or /service.
func reserved(s string) bool {
	first := firstSegment(s)
	return first == "meta" || first == "service"
}

// patternsOf appends to dst every pattern that matches the valid name: /a/b/c is matched by /a/b/*, /a/b/**, /a/** and /**.
func patternsOf(dst []string, name string) []string {
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
