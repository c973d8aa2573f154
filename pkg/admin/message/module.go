package message

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
	permissionRead   = "message.read"
	permissionExport = "message.export"
)

// Module is the system of messages.
func Module(d admin.Deps) admin.Module {
	s := &service{Deps: d}
	return admin.Module{
		Name: "message",
		Permissions: []auth.Permission{
			{Name: permissionRead, Title: "查看消息", Defaults: auth.Everyone},
			{Name: permissionExport, Title: "导出消息", Defaults: auth.StaffAndAbove},
		},
		Routes:       s.routes(),
		Datasets:     datasets(),
		Dictionaries: []dataset.Dictionary{types, plugins, readStates, handleStates},
		Migrations:   migrations,
		Channels:     []auth.ChannelRule{admin.PersonChannels(channelPrefix, phonesNeed)},
		On:           s.reactions(),
		Demo:         seedDemo,
	}
}
