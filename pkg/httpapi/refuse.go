package httpapi

import (
	"fmt"
	"time"

	"exporthub/pkg/errs"
)

// prefetched refuses to start something for a browser that only prepares for a click. The status is
// no success, so that the browser throws the answer away and asks again when it is meant.
func prefetched() error {
	return &errs.Error{
		Kind:       errs.Unavailable,
		Code:       "prefetch",
		Message:    msgPrefetch,
		RetryAfter: time.Second,
	}
}

// readBody reads the body of a route that takes one; what takes nothing can't be sent anything
// wrong.
func (x *exchange) readBody() (map[string]any, error) {
	if !x.route.takes {
		return nil, nil
	}
	return readBody(x.r)
}

// checkLine refuses a request line that is longer than every layer in front of us passes on.
func (x *exchange) checkLine() error {
	if len(x.r.RequestURI) <= MaxRequestLine {
		return nil
	}
	return &errs.Error{
		Kind:    errs.TooLarge,
		Code:    codeLineTooLong,
		Message: fmt.Sprintf(msgLineTooLong, SizeText(MaxRequestLine)),
	}
}
