package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"reflect"
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

// captureRoute is a route that keeps its input.
func captureRoute(got *everything) Route {
	return Handle("POST", "/api/any", Native, Public, Doc{}, func(_ context.Context, in everything) (struct{}, error) {
		*got = in
		return struct{}{}, nil
	})
}

func valueOf(into any) reflect.Value { return reflect.ValueOf(into).Elem() }

// handle makes a handler of a function that can't fail.
func handle[In, Out any](fn func(In) Out) func(context.Context, In) (Out, error) {
	return func(_ context.Context, in In) (Out, error) { return fn(in), nil }
}
