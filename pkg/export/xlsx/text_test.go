package xlsx

import (
	"encoding/xml"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"

	"exporthub/pkg/dataset"
)

// expected is the text a cell must show for s, and what had to be done to it, written for clearness
// only.
func expected(s string) (string, repair) {
	var kept []rune
	units := 0
	for i, r := range s {
		units += len(utf16.Encode([]rune{r}))
		if units > maxUnits {
			return string(kept), repair{cut: true, replaced: !utf8.ValidString(s[:i])}
		}
		kept = append(kept, r)
	}
	return string(kept), repair{replaced: !utf8.ValidString(s)}
}

var escape = regexp.MustCompile(`_x([0-9A-Fa-f]{4})_`)

// decode undoes Excel's escapes, from left to right.
func decode(t interface{ Fatalf(string, ...any) }, s string) string {
	return escape.ReplaceAllStringFunc(s, func(found string) string {
		code, err := strconv.ParseUint(found[2:6], 16, 16)
		if err != nil {
			t.Fatalf("escape %q: %v", found, err)
		}
		return string(rune(code))
	})
}

// parse reads a <t> element as an XML parser does.
func parse(t interface{ Fatalf(string, ...any) }, element []byte) (text string, preserve bool) {
	d := xml.NewDecoder(strings.NewReader(string(element)))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return text, preserve
		}
		if err != nil {
			t.Fatalf("element %q is no XML: %v", element, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			for _, a := range token.Attr {
				preserve = preserve || a.Name.Local == "space" && a.Value == "preserve"
			}
		case xml.CharData:
			text += string(token)
		}
	}
}

// texts draws texts of the pieces that have meaning somewhere on the way: escapes, halves of
// escapes, markup, spaces.
func texts() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"_x0041", "_x0042_", "_x005F", "_", "\x01", "\uFFFE"}),
		rapid.SampledFrom([]string{
			"_", "x", "_x", "_x0041_", "_x005F_", "x0041_", "_x0041", "_xD83D_", "0041", "\x00", "\x01", "\x1f", "\t", "\n", "\r",
			"\r\n", " ", "&", "<", ">", "]]>", "\"", "'", "=", "\xff", "\xed\xa0\x80", "\uFFFD", "\uFFFE", "\uFFFF", "\u2028",
			"\x7f", "字", "😀", "&#10;", "=HYPERLINK(\"x\")",
		}),
		rapid.String(),
	)
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 1, 8).Draw(t, "pieces"), "")
	})
}

func checkText(t interface {
	Fatalf(string, ...any)
	Errorf(string, ...any)
}, s string) {
	if s == "" {
		return // an empty text is no element
	}
	want, wantRepair := expected(s)
	prefix := "before"
	element, v := appendTextElement([]byte(prefix), s)
	if !strings.HasPrefix(string(element), prefix) {
		t.Fatalf("what stood in the buffer was changed: %q", element)
	}
	text, preserve := parse(t, element[len(prefix):])
	if got := decode(t, text); got != want || v != wantRepair {
		t.Errorf("%q is read as %q %+v, want %q %+v", s, got, v, want, wantRepair)
	}
	if trimmed := strings.Trim(want, " \t\r\n"); (trimmed != want || strings.Contains(want, "\n")) && !preserve {
		t.Errorf("%q has spaces a reader may drop", s)
	}
}

func TestAnyTextSurvivesTheElement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkText(t, texts().Draw(t, "text")) })
}

func TestAnyTextSurvivesTheWorkbook(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := rapid.SliceOfN(texts(), 1, 20).Draw(rt, "texts")
		rows := make([][]dataset.Value, len(all))
		for i, s := range all {
			rows[i] = []dataset.Value{dataset.String(s)}
		}
		file, _ := write(t, sheetOf(dataset.Text), Options{}.limits(), rows...)
		book := read(t, file)
		defer book.Close()
		for i, s := range all {
			want, _ := expected(s)
			if got := raw(t, book, "数据", "A"+strconv.Itoa(i+2)); got != want {
				rt.Fatalf("%q is read as %q, want %q", s, got, want)
			}
		}
	})
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"=1+1", "_x0041_x0042_", "a\xffb", "\x00_x", "]]>&", " \r\n", "😀"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkText(t, s) })
}
