package invitation

import (
	"embed"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/dataset"
	"exporthub/pkg/job"
)

//go:embed migrations/*.sql
var migrations embed.FS

// The permissions of this module. Their names are stored with roles and people.
const (
	permissionRead    = "invitation.read"
	permissionWrite   = "invitation.write"
	permissionExport  = "invitation.export"
	permissionApprove = "invitation.approve"
	permissionPhone   = "invitation.read_phone"
)

// Module is the module of invitations. message must be among the modules too: it turns the events
// raised here into messages.
func Module(d admin.Deps) admin.Module {
	s := newService(d)
	return admin.Module{
		Name: systemName,
		Permissions: []auth.Permission{
			{Name: permissionRead, Title: "查看邀请", Defaults: auth.Everyone},
			{Name: permissionPhone, Title: "查看邀请中的完整手机号", Defaults: auth.Everyone},
			{Name: permissionExport, Title: "导出邀请", Defaults: auth.StaffAndAbove},
			{Name: permissionWrite, Title: "新建邀请", Defaults: auth.AdministratorsOnly},
			{Name: permissionApprove, Title: "审批邀请", Defaults: auth.AdministratorsOnly},
		},
		Routes:       s.routes(),
		Datasets:     []dataset.Dataset{s.dataset(), exhibitions()},
		Dictionaries: []dataset.Dictionary{statuses},
		Migrations:   migrations,
		Jobs:         []job.Kind{s.approvals},
		Channels:     []auth.ChannelRule{admin.PersonChannels(approvalPrefix)},
		Demo:         s.seedDemo,
	}
}
