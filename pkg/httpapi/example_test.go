package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/go-chi/chi/v5"

	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
)

type renameIn struct {
	ID   int64  `json:"id" minimum:"1" doc:"编号"`
	Name string `json:"name" required:"true" maxLength:"20" doc:"名称"`
}

type renameOut struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

func rename(_ context.Context, in renameIn) (renameOut, error) {
	if in.ID != 7 {
		return renameOut{}, errs.New(errs.NotFound, "没有这个展会")
	}
	return renameOut(in), nil
}

func ExampleMount() {
	router := chi.NewRouter()
	httpapi.Mount(router, []httpapi.Route{
		httpapi.Handle("PUT", "/api/exhibitions/{id}", httpapi.CodeRemark, httpapi.Public, httpapi.Doc{Summary: "改名"}, rename),
	}, httpapi.Options{Logger: slog.New(slog.DiscardHandler)})

	for _, request := range []struct{ path, body string }{
		{"/api/exhibitions/7", "name=春季展"}, {"/api/exhibitions/8", "name=春季展"}, {"/api/exhibitions/x", ""},
	} {
		r := httptest.NewRequest(http.MethodPut, request.path, strings.NewReader(request.body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		router.ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Body)
		// Failures on two lines.
		fmt.Printf("%d %s\n", w.Code, strings.Replace(string(body), `,"error":`, ",\n\"error\":", 1))
	}
	// Output:
	// 200 {"code":0,"message":"success","remark":"成功","data":{"id":7,"name":"春季展"}}
	// 200 {"code":404,"message":"failure","remark":"没有这个展会",
	// "error":"errors/not_found_error"}
	// 200 {"code":-1,"message":"failure","remark":"id 应为整数；name 不能为空",
	// "error":"errors/parameter_error","errors":{"id":"应为整数","name":"不能为空"}}
}
