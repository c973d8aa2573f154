package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// CleanData returns event data as compact, valid UTF-8 JSON. Invalid bytes become U+FFFD: browsers
// end a websocket at the first text frame that is not valid UTF-8, so one bad event would
// disconnect every subscriber.
func CleanData(data json.RawMessage) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(data))
	if err := json.Compact(&b, data); err != nil {
		return nil, fmt.Errorf("event data: %w", err)
	}
	if !utf8.Valid(b.Bytes()) {
		return bytes.ToValidUTF8(b.Bytes(), []byte("\uFFFD")), nil
	}
	return b.Bytes(), nil
}
