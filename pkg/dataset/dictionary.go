package dataset

// Dictionary is the labels of a closed list of codes. Pages and files show the same ones.
type Dictionary struct {
	Name    string // approve_status
	Entries []Entry
}

// Entry is one code and what people read for it.
type Entry struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// Labels returns the dictionary as a column wants it.
func (d Dictionary) Labels() map[string]string {
	labels := make(map[string]string, len(d.Entries))
	for _, e := range d.Entries {
		labels[e.Value] = e.Label
	}
	return labels
}
