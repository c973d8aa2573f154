package message

import (
	"context"

	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
)

// datasets are the three lists as exports.
func datasets() []dataset.Dataset {
	all := make([]dataset.Dataset, len(lists))
	for i, l := range lists {
		all[i] = l.export()
	}
	return all
}

// export is the list as a file. The viewer's id narrows it in SQL, so that no choice of filter or
// ids reaches another person's messages.
func (l list) export() dataset.Dataset {
	return dataset.Define(dataset.Spec[Filter, Message]{
		Name:       l.dataset,
		Service:    l.service,
		Title:      l.title,
		Permission: permissionExport,
		Fields:     fields(),
		Count: func(ctx context.Context, tx *database.Tx, q dataset.Query[Filter]) (int64, error) {
			n, err := newQuery(l, q.Viewer.UserID, q.Filter, q.IDs).count(ctx, tx, 0)
			return int64(n), err
		},
		Page: func(ctx context.Context, tx *database.Tx, q dataset.Query[Filter], last *Message, limit int, into []Message) ([]Message, error) {
			return newQuery(l, q.Viewer.UserID, q.Filter, q.IDs).after(ctx, tx, last, limit, into)
		},
	})
}

// fields are the columns of all three lists, in the order of the file. Those that follow the state
// of handling are Extra.
func fields() []dataset.Field[Message] {
	type field = dataset.Field[Message]
	column := func(key, title string, t dataset.Type) dataset.Column {
		return dataset.Column{Key: key, Title: title, Type: t}
	}
	extra := func(key, title string, t dataset.Type) dataset.Column {
		c := column(key, title, t)
		c.Extra = true
		return c
	}
	code := func(key, title string, d dataset.Dictionary) dataset.Column {
		c := column(key, title, dataset.Code)
		c.Labels = d.Labels()
		return c
	}
	// What systems write of their rows, masked as their own lists are.
	told := func(key, title string, value func(m *Message) string) field {
		c := column(key, title, dataset.Text)
		c.Mask = phoneMask
		return field{
			Column: c,
			Value:  func(m *Message) dataset.Value { return text(value(m)) },
			Masks:  (*Message).mayHoldPhones,
		}
	}
	return []field{
		{Column: column("id", "ID", dataset.Int), Value: func(m *Message) dataset.Value { return dataset.Number(m.ID) }},
		{Column: column("created_at", "通知时间", dataset.DateTime), Value: func(m *Message) dataset.Value { return dataset.Instant(m.CreatedAt) }},
		{Column: code("notice_type", "消息类型", types), Value: func(m *Message) dataset.Value { return dataset.String(string(m.Type)) }},
		{Column: code("plugin", "来源", plugins), Value: func(m *Message) dataset.Value { return dataset.String(m.Plugin) }},
		{Column: column("send_staff", "发送人", dataset.Text), Value: func(m *Message) dataset.Value { return dataset.String(m.Sender.name()) }},
		told("head", "标题", func(m *Message) string { return m.Head }),
		told("title", "名称", func(m *Message) string { return m.Title }),
		told("content", "内容", func(m *Message) string { return m.Content }),
		told("project_name", "所属项目", func(m *Message) string { return m.Project }),
		{Column: code("status", "阅读状态", readStates), Value: func(m *Message) dataset.Value { return dataset.String(flag(m.Read)) }},
		{Column: code("handle_status", "处理状态", handleStates), Value: func(m *Message) dataset.Value { return dataset.String(flag(m.Awaits)) }},
		{Column: extra("operate_id", "发送人ID", dataset.Int), Value: func(m *Message) dataset.Value { return dataset.Number(m.Sender.ID) }},
		{Column: extra("send_staff_mobile", "发送人电话", dataset.Text), Value: func(m *Message) dataset.Value { return text(m.Sender.Phone) }},
		{Column: extra("send_staff_alias", "发送人昵称", dataset.Text), Value: func(m *Message) dataset.Value { return text(m.Sender.Nickname) }},
		{Column: extra("send_staff_disabled", "发送人已停用", dataset.Bool), Value: func(m *Message) dataset.Value { return dataset.Truth(m.Sender.Disabled) }},
	}
}

// text is a cell that is empty when the text is. An empty string would be a filled cell.
func text(s string) dataset.Value { return dataset.Value{Str: s, Null: s == ""} }

// flag is a boolean in the code that the dictionaries and old pages use.
func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
