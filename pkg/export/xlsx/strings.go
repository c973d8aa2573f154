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

type shared struct {
	id      int32
	verdict verdict
}

// sharing is what a column knows of its texts.
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
		c.looked, c.hits, t.used = c.looked+1, c.hits+1, t.used+1
		return c.lastShared, true
	}
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

// label returns the number of a text that is known to come often.
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

func (t *sharedStrings) add(s string) (shared, bool) {
	if len(t.ids) >= t.most || len(t.elements) >= maxSharedBytes {
		return shared{}, false
	}
	if t.ids == nil {
		t.ids = map[string]shared{}
	}
	v := shared{id: int32(len(t.ids))}
	t.elements = append(t.elements, "<si>"...)
	t.elements, v.verdict = appendTextElement(t.elements, s)
	t.elements = append(t.elements, "</si>"...)
	t.ids[s] = v
	return v, true
}

func tally(r *dataset.Report, v verdict) {
	if v.cut {
		r.Cut++
	}
	if v.replaced {
		r.Replaced++
	}
}
