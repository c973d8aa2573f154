package xlsx

import (
	"strings"
	"unicode/utf8"
)

// maxUnits is how many UTF-16 units of text Excel keeps in a cell.
const maxUnits = 32767

// repair is what had to be done to a text so that a cell can hold it.
type repair struct{ cut, replaced bool }

// appendText appends s as the content of a <t> element, escaped as Excel reads it (ECMA-376 part 1,
// 22.9.2.19, ST_Xstring).
func appendText(dst []byte, s string) ([]byte, repair) {
	// Most texts are plain, and are found so in one pass without a branch for each byte.
	if isPlain(s) {
		return append(dst, s...), repair{}
	}
	return appendSpecial(dst, s)
}

// isPlain reports whether s stands in the file as it is. It may say no to a text that does;
// appendSpecial then finds nothing to do.
func isPlain(s string) bool {
	if len(s) > maxUnits { // a byte is a unit at most
		return false
	}
	var kinds uint8
	for i := range len(s) {
		kinds |= kindOf[s[i]]
	}
	return kinds == 0 || kinds == wide && utf8.ValidString(s)
}

// What a byte says of its text.
const (
	wide    = 1 << iota // not ASCII: has to be looked at as a whole
	special             // may stand for something else, or be the first byte of U+FFFE or U+FFFF
)

var kindOf = func() (t [256]uint8) {
	for b := range t {
		switch {
		case b >= utf8.RuneSelf:
			t[b] = wide
		case escapes[b] != "":
			t[b] = special
		}
	}
	t['_'] |= special
	t[0xEF] |= special
	return t
}()

// appendSpecial is appendText of any text, character by character. It copies what lies between two
// characters that need another form in one piece.
func appendSpecial(dst []byte, s string) ([]byte, repair) {
	var v repair
	units, from := 0, 0
	for i := 0; i < len(s); {
		r := rune(s[i])
		size, wide := 1, 1 // bytes, and UTF-16 units
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
			if r > 0xFFFF {
				wide = 2
			}
		}
		// Cut before the character, so that no half of a surrogate pair is left.
		if units += wide; units > maxUnits {
			v.cut = true
			return append(dst, s[from:i]...), v
		}
		escaped := ""
		switch {
		case r < utf8.RuneSelf:
			escaped = escapes[r]
			if r == '_' && looksEscaped(s[i:]) {
				escaped = "_x005F_"
			}
		case r == utf8.RuneError && size == 1:
			escaped, v.replaced = "\uFFFD", true
		case r == 0xFFFE:
			escaped = "_xFFFE_"
		case r == 0xFFFF:
			escaped = "_xFFFF_"
		}
		if escaped != "" {
			dst = append(append(dst, s[from:i]...), escaped...)
			from = i + size
		}
		i += size
	}
	return append(dst, s[from:]...), v
}

// escapes holds what stands in the file for an ASCII character that can't stand there itself. A
// carriage return is a reference since parsers read a bare one as a line feed; the other controls
// have no reference in XML 1.0.
var escapes = func() (t [utf8.RuneSelf]string) {
	const hex = "0123456789ABCDEF"
	for r := range 0x20 {
		t[r] = "_x00" + hex[r>>4:r>>4+1] + hex[r&15:r&15+1] + "_"
	}
	t['\t'] = ""
	t['\n'] = ""
	t['\r'] = "&#13;"
	t['&'] = "&amp;"
	t['<'] = "&lt;"
	t['>'] = "&gt;"
	return t
}()

// looksEscaped reports whether s, which begins with an underscore, would be read as an escape:
// _xHHHH_, where the last underscore may also be the first of an escape we write for the character
// that stands there.
func looksEscaped(s string) bool {
	if len(s) < 7 || s[1] != 'x' || !isHex(s[2]) || !isHex(s[3]) || !isHex(s[4]) || !isHex(s[5]) {
		return false
	}
	next := s[6]
	return next == '_' || next < utf8.RuneSelf && strings.HasPrefix(escapes[next], "_") ||
		strings.HasPrefix(s[6:], "\uFFFE") || strings.HasPrefix(s[6:], "\uFFFF")
}

// appendTextElement appends s as a whole <t> element, which keeps its outer spaces and its line
// breaks.
func appendTextElement(dst []byte, s string) ([]byte, repair) {
	at := len(dst)
	dst = append(dst, "<t>"...)
	dst, v := appendText(dst, s)
	if v.cut || isSpace(s[0]) || isSpace(s[len(s)-1]) || strings.IndexByte(s, '\n') >= 0 {
		// Put in afterwards: whether the text was cut, and so may end with a space, is known only
		// now.
		const attribute = ` xml:space="preserve"`
		dst = append(dst, attribute...)
		copy(dst[at+len("<t")+len(attribute):], dst[at+len("<t"):])
		copy(dst[at+len("<t"):], attribute)
	}
	return append(dst, "</t>"...), v
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }
