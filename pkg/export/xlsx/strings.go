package xlsx

import "exporthub/pkg/dataset"

// What the table of shared strings may hold. Past a bound texts are written where they stand.
const (
	maxShared      = 32768
	maxSharedBytes = 4 << 20 // of XML
	maxSharedText  = 256     // bytes of one text; a longer one rarely comes twice
)

// A text column is given up, and its texts written where they stand, when too few of this many
// texts were known.
const (
	trial     = 2048
	trialHits = trial / 4
)

// sharedStrings is the workbook's table of texts that cells refer to by number. Numbers are given
// in the order of the rows, by the one goroutine that takes them, so that they depend on nothing
// else.
type sharedStrings struct {
	most     int // how many texts
	ids      map[string]shared
	elements []byte // the <si> elements
	used     int64  // how many cells refer to the table
}

// shared is a text of the table: its number, and what had to be done to it, which the report counts
// for every cell that shows it.
type shared struct {
	id     int32
	repair repair
}

// sharing is what a column knows of its texts: a column of names or contacts would fill the table
// with texts that never come again, and leave no room for the others'.
type sharing struct {
	off          bool
	looked, hits int
	last         string // the text before, which often comes again
	lastShared   shared
}

// find returns the number of a column's text, giving it one if there is room. Empty texts have
// none.
func (t *sharedStrings) find(c *sharing, s string) (shared, bool) {
	if c.off || len(s) > maxSharedText {
		return shared{}, false
	}
	if s == c.last && s != "" {
		c.looked++
		c.hits++
		t.used++
		return c.lastShared, true
	}
	// Judged again and again: a column may begin with what repeats and go on with what does not.
	if c.looked++; c.looked >= trial {
		c.off = c.hits < trialHits
		c.looked, c.hits = 0, 0
	}
	found, known := t.ids[s]
	if known {
		c.hits++
	} else if found, known = t.add(s); !known {
		return shared{}, false
	}
	c.last, c.lastShared = s, found
	t.used++
	return found, true
}

// label returns the number of a text that is known to come often: a dictionary's label, or a title.
// It is never given up, unlike a column's texts.
func (t *sharedStrings) label(s string) (shared, bool) {
	found, known := t.ids[s]
	if !known {
		found, known = t.add(s)
	}
	if known {
		t.used++
	}
	return found, known
}

// add gives a text a number, while there is room. When the table is full no text is removed from
// it: cells that are written refer to it.
func (t *sharedStrings) add(s string) (shared, bool) {
	if len(t.ids) >= t.most || len(t.elements) >= maxSharedBytes {
		return shared{}, false
	}
	if t.ids == nil {
		t.ids = map[string]shared{}
	}
	v := shared{id: int32(len(t.ids))}
	t.elements = append(t.elements, "<si>"...)
	t.elements, v.repair = appendTextElement(t.elements, s)
	t.elements = append(t.elements, "</si>"...)
	t.ids[s] = v
	return v, true
}

// tally counts what was done to a text.
func tally(r *dataset.Report, v repair) {
	if v.cut {
		r.Cut++
	}
	if v.replaced {
		r.Replaced++
	}
}
