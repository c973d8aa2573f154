package httpapi

import "bytes"

// markLoneSurrogates returns JSON text with every unpaired surrogate escape replaced by the escape
// of invalidRune, which is refused by the name of the field that holds it.
//
// RFC 8259, section 8.2 leaves unpaired surrogates to the reader. encoding/json turns them into
// U+FFFD without a word, so that two names cut in the middle of an emoji become one name. Both
// escapes have six bytes, so offsets in errors stay those of the caller's text. data is copied
// before it is changed.
func markLoneSurrogates(data []byte) []byte {
	if !bytes.Contains(data, []byte(`\u`)) {
		return data
	}
	out, copied := data, false
	for i := 0; i < len(data); {
		// A backslash stands inside strings only; in text that is no JSON the result does not
		// matter.
		if data[i] != '\\' {
			i++
			continue
		}
		unit, ok := escapedUnit(data[i:])
		switch {
		case !ok:
			i += 2 // \n, or \\ whose second half must not begin an escape
			continue
		case unit >= 0xD800 && unit < 0xDC00:
			if low, ok := escapedUnit(data[min(i+6, len(data)):]); ok && low >= 0xDC00 && low < 0xE000 {
				i += 12
				continue
			}
		case unit < 0xD800 || unit >= 0xE000:
			i += 6
			continue
		}
		if !copied {
			out, copied = bytes.Clone(data), true
		}
		copy(out[i:], `\uffff`)
		i += 6
	}
	return out
}

// escapedUnit reads an escape of four hexadecimal digits (\ud83d) at the start of s.
func escapedUnit(s []byte) (unit rune, ok bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	for _, c := range s[2:6] {
		unit <<= 4
		switch {
		case c >= '0' && c <= '9':
			unit |= rune(c - '0')
		case c >= 'a' && c <= 'f':
			unit |= rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			unit |= rune(c-'A') + 10
		default:
			return 0, false
		}
	}
	return unit, true
}
