package subscriber

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// told is a story in short: one event a line, as "status progress number attempt more". Every event
// is a second later than the one before. "handshake" begins a new session.
func told(t *testing.T, s *Story, text string) error {
	t.Helper()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if line == "handshake" {
			s.Handshake()
			continue
		}
		at = at.Add(time.Second)
		e := Event{UUID: "a", Attempt: 1, At: at.Format(time.RFC3339Nano)}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if link := "https://example.com/export/1_a.csv"; e.Status == "success" && e.FileURL == nil {
			e.FileURL = &link
		}
		if err := s.Take(e); err != nil {
			return err
		}
	}
	return nil
}

const whole = `
	{"status":"queued","seq":1}
	{"status":"starting","progress":1,"seq":2}
	{"status":"start","progress":3,"seq":3}
	{"status":"writing_file","progress":3,"seq":4}
	{"status":"writing_file","progress":50,"seq":5,"eta_seconds":2}
	{"status":"writing_file","progress":90,"seq":6}
	{"status":"before_upload","progress":90,"seq":7}
	{"status":"before_upload","progress":90,"seq":8,"upload_attempt":2}
	{"status":"uploading","progress":90,"seq":9,"upload_attempt":2}
	{"status":"uploading","progress":95,"seq":10,"upload_attempt":2}
`

const end = `{"status":"success","progress":100,"seq":11}
`

func TestAGoodStoryIsAccepted(t *testing.T) {
	for name, text := range map[string]string{
		"a whole one":                       whole + end,
		"a cancelled one":                   whole + `{"status":"cancelled","progress":95,"seq":11}`,
		"what may be missing of a stage":    `{"status":"starting","progress":1,"seq":2}` + "\n" + end,
		"it begins in the middle, marked":   `{"status":"writing_file","progress":50,"seq":5,"replayed":true}` + "\n" + end,
		"the end again, marked":             whole + end + `{"status":"success","progress":100,"seq":11,"replayed":true}`,
		"the last event again, marked":      whole + `{"status":"uploading","progress":95,"seq":10,"replayed":true}` + "\n" + end,
		"the row is ahead of its number":    whole + `{"status":"uploading","progress":97,"seq":10,"replayed":true}` + "\n" + end,
		"an older one, marked, to a new":    whole + "handshake\n" + `{"status":"writing_file","progress":50,"seq":5,"replayed":true}` + "\n" + end,
		"a second attempt":                  whole + `{"status":"queued","seq":21,"attempt":2}` + "\n" + `{"status":"starting","progress":1,"seq":22,"attempt":2}`,
		"the end of another one":            whole + end + `{"status":"failure","progress":3,"seq":5,"uuid":"b"}`,
		"a bar":                             `{"status":"progress","done":0,"total":3}` + "\n" + `{"status":"progress","done":3,"total":3,"failed":1}`,
		"a bar's end again, marked":         `{"status":"progress","done":3,"total":3}` + "\n" + `{"status":"progress","done":3,"total":3,"replayed":true}`,
		"decisions of two":                  `{"status":"approved","id":7}` + "\n" + `{"status":"approved","id":8}`,
		"a message again, marked":           `{"message":{"id":7}}` + "\n" + `{"message":{"id":7},"replayed":true}`,
		"the same counts again, no message": `{"message":null}` + "\n" + `{"message":null}`,
	} {
		if err := told(t, &Story{}, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABadStoryIsRefused(t *testing.T) {
	const (
		half   = `{"status":"writing_file","progress":50,"seq":5}` + "\n"
		failed = `{"status":"failure","progress":95,"seq":12}` + "\n"
	)
	for name, c := range map[string]struct{ text, why string }{
		"an event twice":                 {half + half, "is sent twice"},
		"an event twice, to a new":       {half + "handshake\n" + half, "is sent twice"},
		"an older event":                 {whole + half, "is not marked as replayed"},
		"an older event, to a new":       {whole + "handshake\n" + half, "is not marked as replayed"},
		"an older event, marked":         {whole + `{"status":"writing_file","progress":50,"seq":5,"replayed":true}`, "in the same session"},
		"the end twice":                  {whole + end + end, "is sent twice"},
		"the end twice, to a new":        {whole + end + "handshake\n" + end, "is sent twice"},
		"another end":                    {whole + end + failed, "is a second end"},
		"another end, marked":            {whole + end + `{"status":"failure","progress":95,"seq":11,"replayed":true}`, "is a second end"},
		"an event after the end":         {whole + end + `{"status":"uploading","progress":96,"seq":12}`, "comes after the end"},
		"an attempt after the end":       {whole + end + `{"status":"queued","seq":21,"attempt":2}`, "comes after the end"},
		"an old one after the end":       {whole + end + `{"status":"writing_file","progress":50,"seq":5,"replayed":true}`, "in the same session"},
		"the stage goes back":            {whole + `{"status":"writing_file","progress":95,"seq":11}`, "the stage goes back"},
		"the progress goes back":         {whole + `{"status":"uploading","progress":94,"seq":11,"upload_attempt":2}`, "the progress goes back"},
		"the progress goes back, marked": {whole + "handshake\n" + `{"status":"uploading","progress":94,"seq":11,"replayed":true}`, "the progress goes back"},
		"the attempt goes back":          {`{"status":"queued","seq":21,"attempt":2}` + "\n" + `{"status":"queued","seq":22,"attempt":1}`, "of an older attempt"},
		"90 twice":                       {`{"status":"writing_file","progress":90,"seq":6}` + "\n" + `{"status":"writing_file","progress":90,"seq":7}`, "says the same as"},
		"the time stands still":          {`{"status":"start","progress":3,"seq":3,"at":"2026-01-02T00:00:00Z"}` + "\n" + `{"status":"writing_file","progress":3,"seq":4,"at":"2026-01-02T00:00:00Z"}`, "has not a later time"},
		"the time goes back":             {half + `{"status":"writing_file","progress":51,"seq":6,"at":"2026-01-02T00:00:00Z"}`, "has not a later time"},
		"a number with two meanings":     {half + `{"status":"before_upload","progress":90,"seq":5,"replayed":true}`, "says something else"},
		"no time":                        {`{"status":"start","progress":3,"seq":3,"at":"yesterday"}`, "has no time"},
		"no attempt":                     {`{"status":"start","progress":3,"seq":3,"attempt":0}`, "has no attempt"},
		"an unknown status":              {`{"status":"working","progress":3,"seq":3}`, "unknown status"},
		"too much progress":              {`{"status":"start","progress":103,"seq":3}`, "outside 0 to 100"},
		"a link too early":               {`{"status":"uploading","progress":95,"seq":3,"file_url":"https://example.com/"}`, "a link comes with success"},
		"success at 99":                  {`{"status":"success","progress":99,"seq":3}`, "is not complete"},
		"a time left while it waits":     {`{"status":"queued","seq":3,"eta_seconds":2}`, "a time is left"},
		"a bar goes back":                {`{"status":"progress","done":2,"total":3}` + "\n" + `{"status":"progress","done":1,"total":3}`, "back to 1"},
		"a bar's total changes":          {`{"status":"progress","done":2,"total":3}` + "\n" + `{"status":"progress","done":2,"total":4}`, "before it were"},
		"a bar ends twice":               {`{"status":"progress","done":3,"total":3}` + "\n" + `{"status":"progress","done":3,"total":3}`, "after the end"},
		"a decision twice":               {`{"status":"approved","id":7}` + "\n" + `{"status":"approved","id":7}`, "decision approved of 7 is sent twice"},
		"a message twice":                {`{"message":{"id":7}}` + "\n" + `{"message":{"id":7}}`, "message 7 is sent twice"},
	} {
		err := told(t, &Story{}, c.text)
		if err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %q", name, err, c.why)
		}
	}
}

// Where nothing was broken, nothing is sent again: not even marked.
func TestASteadyStoryHasNoRepetition(t *testing.T) {
	if err := told(t, &Story{Steady: true}, `{"status":"uploading","progress":95,"seq":10,"replayed":true}`+"\n"+end); err != nil {
		t.Error("what a session is first sent:", err)
	}
	err := told(t, &Story{Steady: true}, whole+end+`{"status":"success","progress":100,"seq":11,"replayed":true}`)
	if err == nil || !strings.Contains(err.Error(), "though nothing was broken") {
		t.Errorf("an end again: %v", err)
	}
}

// Beside the release before its known faults are no news, and every other one is.
func TestAStoryBesideTheReleaseBefore(t *testing.T) {
	known := `{"status":"writing_file","progress":90,"seq":6,"at":"2026-01-02T00:00:00Z"}
		{"status":"writing_file","progress":90,"seq":7,"at":"2026-01-02T00:00:00Z"}
		{"status":"writing_file","progress":90,"seq":7,"at":"2026-01-02T00:00:00Z"}
		{"status":"writing_file","progress":50,"seq":5,"at":"2026-01-02T00:00:00Z"}
	`
	if err := told(t, &Story{Older: true}, known+end); err != nil {
		t.Error(err)
	}
	for name, text := range map[string]string{
		"the stage goes back":    whole + `{"status":"writing_file","progress":95,"seq":11}`,
		"the progress goes back": whole + `{"status":"uploading","progress":94,"seq":11}`,
		"another end":            whole + end + `{"status":"failure","progress":95,"seq":12}`,
		"an attempt after it":    whole + end + `{"status":"queued","seq":21,"attempt":2}`,
	} {
		if err := told(t, &Story{Older: true}, text); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestAStoryEndsAsItsRow(t *testing.T) {
	var s Story
	if err := told(t, &s, whole); err != nil {
		t.Fatal(err)
	}
	if err := s.Ended("a", "success"); err != ErrNoEnd {
		t.Errorf("before the end: %v", err)
	}
	if err := told(t, &s, `{"status":"success","progress":100,"seq":11,"at":"2026-01-03T00:00:00Z"}`); err != nil {
		t.Fatal(err)
	}
	if err := s.Ended("a", "success"); err != nil {
		t.Error(err)
	}
	if err := s.Ended("a", "failure"); err == nil {
		t.Error("a row that failed is no success")
	}
}
