package httpapi_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"exporthub/pkg/httpapi"
	"exporthub/pkg/page"
)

func TestListE(t *testing.T) {
	const path = "https://example.com/business/7/admin/message/unread"
	for name, c := range map[string]struct {
		result page.Result[int]
		query  url.Values
		want   string
	}{
		"one page": {
			page.Result[int]{Items: []int{5}, Total: 1, Request: page.Request{Number: 1, Size: 20}}, nil,
			`{"current_page":1,"data":[5],"first_page_url":"` + path + `?page=1","from":1,"last_page":1,"last_page_url":"` + path +
				`?page=1","next_page_url":null,"path":"` + path + `","per_page":20,"prev_page_url":null,"to":1,"total":1}`,
		},
		"nothing": {
			page.Result[int]{Request: page.Request{Number: 1, Size: 20}}, nil,
			`{"current_page":1,"data":[],"first_page_url":"` + path + `?page=1","from":null,"last_page":1,"last_page_url":"` + path +
				`?page=1","next_page_url":null,"path":"` + path + `","per_page":20,"prev_page_url":null,"to":null,"total":0}`,
		},
		"in the middle, with filters": {
			page.Result[int]{Items: []int{1, 2}, Total: 6, Request: page.Request{Number: 2, Size: 2}},
			url.Values{"plugin": {"导出&x"}, "page": {"9"}},
			`{"current_page":2,"data":[1,2],"first_page_url":"` + path + `?plugin=%E5%AF%BC%E5%87%BA%26x&page=1","from":3,"last_page":3,"last_page_url":"` +
				path + `?plugin=%E5%AF%BC%E5%87%BA%26x&page=3","next_page_url":"` + path + `?plugin=%E5%AF%BC%E5%87%BA%26x&page=3","path":"` + path +
				`","per_page":2,"prev_page_url":"` + path + `?plugin=%E5%AF%BC%E5%87%BA%26x&page=1","to":4,"total":6}`,
		},
		"past the end": {
			page.Result[int]{Total: 3, Request: page.Request{Number: 5, Size: 2}}, nil,
			`{"current_page":5,"data":[],"first_page_url":"` + path + `?page=1","from":null,"last_page":2,"last_page_url":"` + path +
				`?page=2","next_page_url":null,"path":"` + path + `","per_page":2,"prev_page_url":"` + path + `?page=4","to":null,"total":3}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(httpapi.LaravelList(c.result, path, c.query))
			if err != nil {
				t.Fatal(err)
			}
			// json.Marshal writes & for pages that embed JSON in HTML; the server's own encoder
			// does not.
			if plain := strings.ReplaceAll(string(got), `\u0026`, "&"); plain != c.want {
				t.Errorf("got  %s\nwant %s", plain, c.want)
			}
		})
	}
}
