package httpapi

import (
	"strconv"
	"strings"
)

// maxWritten is how many digits of an integral number are written out. Nothing honest is longer,
// and 1E999999999 must not become a gigabyte of zeros.
const maxWritten = 64

// integralDigits writes a JSON number that is integral as its digits: 13800094001.0 and 1.38E10 are
// how spreadsheets and some languages spell a phone number, and three spellings of one phone would
// make three records. Other numbers keep their spelling, which for a price is part of its meaning.
//
// It works on the text, since a float would lose digits of long identifiers.
func integralDigits(number string) string {
	digits, negative := strings.CutPrefix(number, "-")
	mantissa, exponent := digits, 0
	if i := strings.IndexAny(digits, "eE"); i >= 0 {
		n, err := strconv.Atoi(digits[i+1:])
		if err != nil {
			return number // beyond an int: no number anybody writes out
		}
		mantissa, exponent = digits[:i], n
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if mantissa == digits && fraction == "" {
		return number
	}
	all := whole + fraction
	point := len(whole) + exponent
	if point > maxWritten || point < -maxWritten {
		return number
	}
	if point < len(all) {
		if strings.Trim(all[max(point, 0):], "0") != "" {
			return number
		}
		all = all[:max(point, 0)]
	}
	all = strings.TrimLeft(all+strings.Repeat("0", max(point-len(all), 0)), "0")
	switch {
	case all == "":
		return "0" // without a sign: there is no phone -0
	case negative:
		return "-" + all
	}
	return all
}
