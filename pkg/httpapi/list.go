package httpapi

import (
	"maps"
	"net/url"
	"strconv"

	"exporthub/pkg/page"
)

// PerPagePaging is how A asks for a page: page from 1, per_page 15. Embed it in an input.
type PerPagePaging struct {
	Page    int `json:"page" doc:"页码，从 1 开始" minimum:"1" maximum:"2147483647" example:"1"`
	PerPage int `json:"per_page" doc:"每页的数量，默认 15，最多 1,000" minimum:"1" clamp:"1000" example:"15"`
}

// PageRequest returns the page asked for, in range.
func (p PerPagePaging) PageRequest() page.Request { return page.Of(p.Page, p.PerPage, 15) }

// CountPaging is how B asks for a page: page from 1, count 20.
type CountPaging struct {
	Page  int `json:"page" doc:"页码，从 1 开始" minimum:"1" maximum:"2147483647" example:"1"`
	Count int `json:"count" doc:"每页的数量，默认 20，最多 1,000" minimum:"1" clamp:"1000" example:"20"`
}

// PageRequest returns the page asked for, in range.
func (p CountPaging) PageRequest() page.Request { return page.Of(p.Page, p.Count, 20) }

// LimitPaging is how C asks for a page: page from 1, and limit.
type LimitPaging struct {
	Page  int `json:"page" doc:"页码，从 1 开始" minimum:"1" maximum:"2147483647" example:"1"`
	Limit int `json:"limit" doc:"每页的数量，最多 1,000" minimum:"1" clamp:"1000" example:"20"`
}

// PageRequest returns the page asked for, in range; defaultSize is 20, or 10 where the endpoint
// says so.
func (p LimitPaging) PageRequest(defaultSize int) page.Request {
	return page.Of(p.Page, p.Limit, defaultSize)
}

// Sent reports whether any paging was asked for, for lists that are whole without it.
func (p LimitPaging) Sent() bool { return p.Page != 0 || p.Limit != 0 }

// PageSizePaging is how D asks for a page: page from 1, page_size 10.
type PageSizePaging struct {
	Page     int `json:"page" doc:"页码，从 1 开始" minimum:"1" maximum:"2147483647" example:"1"`
	PageSize int `json:"page_size" doc:"每页的数量，默认 10，最多 1,000" minimum:"1" clamp:"1000" example:"10"`
}

// PageRequest returns the page asked for, in range.
func (p PageSizePaging) PageRequest() page.Request { return page.Of(p.Page, p.PageSize, 10) }

// LaravelPaging is how E asks for a page: page from 1, always 20 rows.
type LaravelPaging struct {
	Page int `json:"page" doc:"页码，从 1 开始" minimum:"1" maximum:"2147483647" example:"1"`
}

// PageRequest returns the page asked for, in range.
func (p LaravelPaging) PageRequest() page.Request { return page.Of(p.Page, 0, 20) }

// ExportParams are the parameters that make any list an export. Embed it in a list's input and
// declare the route with StartsWith("export_format").
type ExportParams struct {
	ExportFormat string   `json:"export_format" doc:"导出格式；不是导出时不传" enum:"xlsx,csv,csv-raw,jsonl" example:"xlsx"`
	Columns      []string `json:"columns" doc:"导出的列，按此顺序；不传则为该列表的固定列，jsonl 为全部列" maxItems:"200"`
	IDs          []int64  `json:"ids" doc:"只导出这些行;不传则为全部" minItems:"1" maxItems:"10000"`
}

// Exporting reports whether the request is for a file instead of a page.
func (p ExportParams) Exporting() bool { return p.ExportFormat != "" }

// ModelsPage is one page of a list as A shows it.
type ModelsPage[T any] struct {
	TotalCount  int  `json:"total_count" doc:"总数"`
	TotalPages  int  `json:"total_pages" doc:"总页数"`
	NextPage    *int `json:"next_page" doc:"下一页，没有则为 null"`
	PrevPage    *int `json:"prev_page" doc:"上一页，没有则为 null"`
	CurrentPage int  `json:"current_page" doc:"当前页"`
	PerPage     int  `json:"per_page" doc:"每页的数量"`
	Page        int  `json:"page" doc:"当前页"`
	Models      []T  `json:"models"`
	estimate
}

// ModelsList shapes one page of a list as A shows it. The header X-Total-Estimated says that the
// total is about so many.
func ModelsList[T any](r page.Result[T]) ModelsPage[T] {
	return ModelsPage[T]{
		TotalCount:  r.Total,
		TotalPages:  r.Pages(),
		NextPage:    r.Next(),
		PrevPage:    r.Prev(),
		CurrentPage: r.Request.Number,
		PerPage:     r.Request.Size,
		Page:        r.Request.Number,
		Models:      some(r.Items),
		estimate:    estimate(r.Estimated),
	}
}

// PageInfo is where B tells about the page.
type PageInfo struct {
	Total int `json:"total"`
	Page  int `json:"page"`
	Count int `json:"count"`
	estimate
}

// PageInfoList shapes one page of a list as B shows it: the rows as data, page_info beside them.
func PageInfoList[T any](r page.Result[T]) Reply[[]T] {
	info := PageInfo{Total: r.Total, Page: r.Request.Number, Count: r.Request.Size, estimate: estimate(r.Estimated)}
	return Reply[[]T]{Data: some(r.Items), Top: []TopField{{Name: "page_info", Value: info}}}
}

// ResultsPage is one page of a list as D shows it.
type ResultsPage[T any] struct {
	Total    int `json:"total"`
	Page     int `json:"page"`
	PageSize int `json:"page_size"`
	Results  []T `json:"results"`
	estimate
}

// ResultsList shapes one page of a list as D shows it.
func ResultsList[T any](r page.Result[T]) ResultsPage[T] {
	return ResultsPage[T]{
		Total:    r.Total,
		Page:     r.Request.Number,
		PageSize: r.Request.Size,
		Results:  some(r.Items),
		estimate: estimate(r.Estimated),
	}
}

// LaravelPage is one page of a list as E shows it: Laravel's paginator.
type LaravelPage[T any] struct {
	CurrentPage  int     `json:"current_page" doc:"当前页"`
	Data         []T     `json:"data"`
	FirstPageURL string  `json:"first_page_url"`
	From         *int    `json:"from" doc:"本页第一行的序号，没有则为 null"`
	LastPage     int     `json:"last_page" doc:"最后一页，至少为 1"`
	LastPageURL  string  `json:"last_page_url"`
	NextPageURL  *string `json:"next_page_url" doc:"下一页，没有则为 null"`
	Path         string  `json:"path"`
	PerPage      int     `json:"per_page" doc:"每页的数量"`
	PrevPageURL  *string `json:"prev_page_url" doc:"上一页，没有则为 null"`
	To           *int    `json:"to" doc:"本页最后一行的序号，没有则为 null"`
	Total        int     `json:"total" doc:"总数"`
	estimate
}

// LaravelList shapes one page of a list as E shows it. path is the list's own absolute address;
// query is what its pages' addresses carry beside their number, such as the filters.
func LaravelList[T any](r page.Result[T], path string, query url.Values) LaravelPage[T] {
	address := func(number int) string {
		q := url.Values{}
		maps.Copy(q, query)
		q.Del("page")
		before := ""
		if len(q) > 0 {
			before = q.Encode() + "&"
		}
		return path + "?" + before + "page=" + strconv.Itoa(number)
	}
	optional := func(number int, there bool) *string {
		if !there {
			return nil
		}
		a := address(number)
		return &a
	}
	number, last := r.Request.Number, max(r.Pages(), 1)
	p := LaravelPage[T]{
		CurrentPage:  number,
		Data:         some(r.Items),
		FirstPageURL: address(1),
		LastPage:     last,
		LastPageURL:  address(last),
		NextPageURL:  optional(number+1, number < last),
		Path:         path,
		PerPage:      r.Request.Size,
		PrevPageURL:  optional(number-1, number > 1),
		Total:        r.Total,
		estimate:     estimate(r.Estimated),
	}
	if n := len(r.Items); n > 0 {
		from, to := r.Request.Offset()+1, r.Request.Offset()+n
		p.From, p.To = &from, &to
	}
	return p
}

// some returns items, never nil: a page may be written by a type with a MarshalJSON of its own.
func some[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// estimate says that a shape's total is an estimate. It is no part of the JSON.
type estimate bool

func (e estimate) totalEstimated() bool { return bool(e) }

// estimated reports whether any part of the answer has an estimated total.
func estimated(r reply) bool {
	is := func(v any) bool {
		e, ok := v.(interface{ totalEstimated() bool })
		return ok && e.totalEstimated()
	}
	for _, t := range r.top {
		if is(t.Value) {
			return true
		}
	}
	return is(r.data)
}
