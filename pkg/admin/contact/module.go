package contact

import (
	"embed"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/dataset"
)

//go:embed migrations/*.sql
var migrations embed.FS

// The permissions of this module. Their names are stored with roles and people.
const (
	permissionRead   = "contact.read"
	permissionWrite  = "contact.write"
	permissionExport = "contact.export"
	permissionNotes  = "contact.read_notes"
)

// Module is the module of contact records.
func Module(d admin.Deps) admin.Module {
	s := &service{Deps: d}
	return admin.Module{
		Name: "contact",
		Permissions: []auth.Permission{
			{Name: permissionRead, Title: "查看联系记录", Defaults: auth.Everyone},
			{Name: permissionNotes, Title: "查看联系记录的备注", Defaults: auth.Everyone},
			{Name: permissionExport, Title: "导出联系记录", Defaults: auth.StaffAndAbove},
			{Name: permissionWrite, Title: "编辑联系记录", Defaults: auth.StaffAndAbove},
		},
		Routes:       s.routes(),
		Datasets:     []dataset.Dataset{s.dataset()},
		Dictionaries: []dataset.Dictionary{replyStatuses},
		Migrations:   migrations,
		Settle:       fillKeys,
		Check:        collisions,
		Demo:         seedDemo,
	}
}
