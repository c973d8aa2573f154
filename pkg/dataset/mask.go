package dataset

import (
	"fmt"
	"regexp"
	"unicode/utf8"
)

// Mask hides the middle of a text column (138****0001) from people without a permission: in the
// list, and in what they export.
type Mask struct {
	Permission string // who sees the whole text
	Head, Tail int    // how many characters everybody sees
	// Of is what of a text is hidden, for texts that mention what others hold: the phone numbers in
	// a message. nil is the text as a whole.
	Of *regexp.Regexp
}

// hidden stands for what is not shown, however long that is.
const hidden = "****"

// Hide returns what people without the permission see. A text too short to hide anything between
// Head and Tail is hidden whole; an empty one stays empty.
func (m Mask) Hide(s string) string {
	if s == "" || m.Permission == "" {
		return s
	}
	if m.Of != nil {
		return m.Of.ReplaceAllStringFunc(s, m.hide)
	}
	return m.hide(s)
}

func (m Mask) hide(s string) string {
	// Head and Tail would overlap and show everything.
	if utf8.RuneCountInString(s) <= m.Head+m.Tail {
		return hidden
	}
	// Counted in characters, without a conversion to runes: this runs once a cell of an export.
	head, tail := 0, len(s)
	for range m.Head {
		_, n := utf8.DecodeRuneInString(s[head:])
		head += n
	}
	for range m.Tail {
		_, n := utf8.DecodeLastRuneInString(s[:tail])
		tail -= n
	}
	return s[:head] + hidden + s[tail:]
}

func (m Mask) check(t Type) error {
	switch {
	case m == Mask{}:
		return nil
	case m.Permission == "":
		return fmt.Errorf("a mask needs the permission that lifts it")
	case m.Head < 0 || m.Tail < 0:
		return fmt.Errorf("a mask can't show %d and %d characters", m.Head, m.Tail)
	case t != Text && t != URL:
		return fmt.Errorf("a mask hides text, the column has type %d", t)
	}
	return nil
}

// For returns the column as a viewer has it. Without can, it is as for somebody without any
// permission.
func (c Column) For(can func(permission string) bool) Column {
	c.Masked = c.Mask.Permission != "" && (can == nil || !can(c.Mask.Permission))
	return c
}

// Shown returns a value of a text column as the column's viewer sees it: lists show what files
// hold.
func (c Column) Shown(s string) string {
	if c.Masked {
		return c.Mask.Hide(s)
	}
	return s
}
