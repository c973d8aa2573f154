package protocol

import "strconv"

// loneSurrogate reports whether a valid JSON text holds an escape \ud800 to \udfff that is not half
// of a pair. encoding/json silently replaces it by U+FFFD, so two different texts would become one;
// RFC 8259, section 8.2, calls the behaviour of receivers unpredictable.
func loneSurrogate(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		i++ // the escaped character, which may be another backslash
		switch kind := surrogateAt(text, i); {
		case kind == 0:
		case kind < 0xdc00 && i+6 < len(text) && text[i+5] == '\\' && surrogateAt(text, i+6) >= 0xdc00:
			i += 10 // both halves
		default:
			return true
		}
	}
	return false
}

// surrogateAt returns the surrogate that the escape whose u stands at i names, 0 for anything else.
func surrogateAt(text []byte, i int) uint64 {
	if i+4 >= len(text) || text[i] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(text[i+1:i+5]), 16, 16)
	if err != nil || n < 0xd800 || n > 0xdfff {
		return 0
	}
	return n
}
