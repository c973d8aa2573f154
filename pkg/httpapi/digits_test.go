package httpapi

import (
	"encoding/json"
	"testing"
)

// An integral JSON number in a text field is its digits, however it is spelled; others stay.
func TestNumbersInTextFields(t *testing.T) {
	for number, want := range map[string]string{
		"13800094001": "13800094001", "13800094001.0": "13800094001", "1.3800094001E10": "13800094001",
		"1.3800094001e+10": "13800094001", "138000940010e-1": "13800094001", "1.38E10": "13800000000",
		"0": "0", "0.0": "0", "-0.0": "0", "0e99": "0", "-5.0": "-5", "5e0": "5", "007e0": "7",
		"1.5": "1.5", "0.5e1": "5", "0.05e1": "0.05e1", "5e-1": "5e-1", "1e41": "1e41", "1e99999999999999999999": "1e99999999999999999999",
		"12345678901234567890.0": "12345678901234567890",
	} {
		var in struct {
			Text string `json:"text"`
		}
		if got := digits(json.Number(number)); got != want {
			t.Errorf("digits(%s) = %q, want %q", number, got, want)
		}
		if number == "007e0" {
			continue // no JSON
		}
		if err := DecodeValues([]byte(`{"text":`+number+`}`), &in); err != nil || in.Text != want {
			t.Errorf("%s became %q (%v), want %q", number, in.Text, err, want)
		}
	}
}
