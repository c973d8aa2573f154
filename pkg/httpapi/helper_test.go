package httpapi

import (
	"io"
	"net/http"
	"testing"
)

func readAll(t *testing.T, answer *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
