package httpapi

import (
	"io"
	"log/slog"
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

// quiet logs nowhere.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
