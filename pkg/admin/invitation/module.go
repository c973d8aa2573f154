package invitation

import (
	"embed"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/dataset"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	permissionRead   = "invitation.read"
	permissionWrite  = "invitation.write"
	permissionExport = "invitation.export"
)

// Module is the system of invitations.
func Module(d admin.Deps) admin.Module {
	s := &service{Deps: d}
	return admin.Module{
		Name: "invitation",
		Permissions: []auth.Permission{
			{Name: permissionRead, Title: "查看邀请", Defaults: auth.Everyone},
			{Name: permissionExport, Title: "导出邀请", Defaults: auth.StaffAndAbove},
			{Name: permissionWrite, Title: "新建邀请", Defaults: auth.AdministratorsOnly},
		},
		Routes:       s.routes(),
		Datasets:     []dataset.Dataset{s.dataset()},
		Dictionaries: []dataset.Dictionary{statuses},
		Migrations:   migrations,
		Demo:         seedDemo,
	}
}
