package routes

import (
	"context"
	"reflect"
	"slices"

	"exporthub/pkg/auth"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export/record"
	"exporthub/pkg/httpapi"
)

// datasetOut is a list that the caller may export.
type datasetOut struct {
	Name       string      `json:"name"`
	Service    string      `json:"service" doc:"进度事件中的名称"`
	Title      string      `json:"title"`
	Permission string      `json:"permission" doc:"导出所需的权限"`
	Columns    []columnOut `json:"columns"`
	Filters    []filterOut `json:"filters"`
	Formats    []formatOut `json:"formats"`
}

type columnOut struct {
	Key     string     `json:"key"`
	Title   string     `json:"title"`
	Type    string     `json:"type" enum:"text,int,money,datetime,date,bool,code,url"`
	Masked  bool       `json:"masked" doc:"你只能看到隐去中间部分的内容"`
	Default bool       `json:"default" doc:"不指定列时包含;jsonl 包含全部列"`
	Labels  []labelOut `json:"labels" doc:"代码与文字;没有为空"`
}

type labelOut struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

type filterOut struct {
	Name    string     `json:"name"`
	Title   string     `json:"title"`
	Doc     string     `json:"doc"`
	Type    string     `json:"type" enum:"string,integer,number,boolean,array,object,datetime"`
	Columns []string   `json:"columns" doc:"按哪些列筛选"`
	Labels  []labelOut `json:"labels" doc:"可用的值与文字;不限为空"`
}

type formatOut struct {
	Name        string `json:"name"`
	Extension   string `json:"extension"`
	ContentType string `json:"content_type"`
}

// datasetsOut lists what the caller may export.
type datasetsOut struct {
	Items []datasetOut `json:"items"`
	Next  *string      `json:"next" doc:"总是 null:列表不分页"`
}

// datasetsRoute describes the catalogue of lists.
func (h *handlers) datasetsRoute() httpapi.Route {
	return httpapi.Handle("GET", record.Path+"datasets", httpapi.Native, httpapi.SignedIn, httpapi.Doc{
		Summary: "可以导出的列表", Tag: tag,
		Detail: "你可以导出的列表，及其列、筛选条件、格式和所需权限。你看不到的列和不能使用的筛选条件不在其中。",
	}, h.handleDatasets, httpapi.Answers(401))
}

// handleDatasets describes each list as the caller has it: what they may not see they may not
// filter by, so it is in neither list.
func (h *handlers) handleDatasets(ctx context.Context, _ struct{}) (datasetsOut, error) {
	who := auth.From(ctx)
	out := datasetsOut{Items: []datasetOut{}}
	for _, set := range h.deps.Registry.All() {
		if !who.Can(set.Permission) {
			continue
		}
		item := datasetOut{
			Name:       set.Name,
			Service:    set.Service,
			Title:      set.Title,
			Permission: set.Permission,
			Columns:    []columnOut{},
			Filters:    []filterOut{},
		}
		for _, c := range set.Visible(who.Can) {
			item.Columns = append(item.Columns, columnOut{
				Key:     c.Key,
				Title:   c.Title,
				Type:    c.Type.String(),
				Masked:  c.Masked,
				Default: !c.Extra,
				Labels:  labelsOf(c.Labels),
			})
		}
		filters, err := filtersOf(set, who)
		if err != nil {
			return out, err
		}
		item.Filters = filters
		for _, f := range h.deps.Formats {
			item.Formats = append(item.Formats, formatOut{
				Name:        f.Name,
				Extension:   f.Extension,
				ContentType: f.ContentType,
			})
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

func filtersOf(set dataset.Dataset, who *auth.Principal) ([]filterOut, error) {
	fields, err := set.FilterFields()
	if err != nil {
		return nil, err
	}
	inputs := httpapi.InputsOf(reflect.TypeOf(set.NewFilter()).Elem())
	view := set.View(who.Can)
	usable := []filterOut{}
	for _, f := range fields {
		i := slices.IndexFunc(inputs, func(in httpapi.Input) bool { return in.Name == f.Name })
		hidden := func(key string) bool { return !view.Sees(key) || view[key].Masked }
		if i < 0 || slices.ContainsFunc(f.Columns, hidden) {
			continue
		}
		in := inputs[i]
		out := filterOut{
			Name:    f.Name,
			Title:   record.FilterTitle(in.Schema.Description),
			Doc:     in.Schema.Description,
			Type:    in.Schema.Type,
			Columns: f.Columns,
			Labels:  []labelOut{},
		}
		if in.Type == reflect.TypeFor[*httpapi.Bound]() {
			out.Type = "datetime"
		}
		// A filter over one column with a dictionary takes its codes.
		if len(f.Columns) == 1 {
			out.Labels = labelsOf(view[f.Columns[0]].Labels)
		}
		usable = append(usable, out)
	}
	return usable, nil
}

// labelsOf is a column's dictionary in the order of its codes.
func labelsOf(labels map[string]string) []labelOut {
	out := make([]labelOut, 0, len(labels))
	for value, label := range labels {
		out = append(out, labelOut{Value: value, Label: label})
	}
	slices.SortFunc(out, func(a, b labelOut) int {
		if a.Value < b.Value {
			return -1
		}
		return 1
	})
	return out
}

// limitsOut is what the caller has used of their limits.
type limitsOut struct {
	Active    int    `json:"active" doc:"排队和执行中的任务"`
	MaxActive int    `json:"max_active"`
	UsedToday int    `json:"used_today"`
	MaxDaily  int    `json:"max_daily"`
	LeftToday int    `json:"left_today"`
	ResetsAt  string `json:"resets_at" doc:"当日次数何时重新计算"`
}

// limitsRoute describes the caller's limits.
func (h *handlers) limitsRoute() httpapi.Route {
	return httpapi.Handle("GET", record.Path+"limits", httpapi.Native, httpapi.SignedIn, httpapi.Doc{
		Summary: "导出限额", Tag: tag,
		Detail: "同时进行的任务和当日次数:上限、已用、剩余，以及何时重新计算。",
	}, h.handleLimits, httpapi.Answers(401))
}

func (h *handlers) handleLimits(ctx context.Context, _ struct{}) (limitsOut, error) {
	q, err := h.deps.Quota(ctx)
	if err != nil {
		return limitsOut{}, err
	}
	return limitsOut{
		Active:    q.Active,
		MaxActive: q.MaxActive,
		UsedToday: q.Used,
		MaxDaily:  q.MaxDaily,
		// An administrator may lower a limit below what was used.
		LeftToday: max(q.MaxDaily-q.Used, 0),
		ResetsAt:  httpapi.FormatTime(ctx, httpapi.Native, q.ResetsAt),
	}, nil
}
