package httpapi

import (
	"encoding/json"
	"strconv"
	"strings"
)

// longestNumber is how many digits a number may have to be written out. It is far above any phone
// or document number, and keeps 1e9999 from becoming ten kilobytes.
const longestNumber = 40

// digits is a JSON number for a text field. Programs that keep phone numbers as floats send one
// number as 13800000001, 13800000001.0 and 1.3800000001E10: an integral number is its digits, so
// that these are one text. Any other number keeps its spelling.
func digits(n json.Number) string {
	text := n.String()
	if !strings.ContainsAny(text, ".eE") {
		return text
	}
	mantissa, power, _ := strings.Cut(strings.ToLower(text), "e")
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent := 0
	if power != "" {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil {
			return text
		}
	}
	all := whole + fraction
	point := len(whole) + exponent // where the decimal point stands in all
	switch {
	case strings.Trim(all, "0") == "":
		return "0"
	case point <= 0 || point > longestNumber:
		return text
	case point < len(all):
		if strings.Trim(all[point:], "0") != "" {
			return text
		}
		all = all[:point]
	default:
		all += strings.Repeat("0", point-len(all))
	}
	if all = strings.TrimLeft(all, "0"); all == "" {
		return text
	}
	if negative {
		return "-" + all
	}
	return all
}
