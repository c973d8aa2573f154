package trail

import (
	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/dataset"
)

// permissionRead is the permission to read and to export the audit. Its name is stored with roles.
const permissionRead = "audit.read"

// Module is the module of the audit.
func Module(d admin.Deps) admin.Module {
	s := &service{Deps: d}
	return admin.Module{
		Name:         "audit",
		Permissions:  []auth.Permission{{Name: permissionRead, Title: "查看和导出审计记录", Defaults: auth.AdministratorsOnly}},
		Routes:       s.routes(),
		Datasets:     []dataset.Dataset{s.dataset()},
		Dictionaries: []dataset.Dictionary{actions},
	}
}
