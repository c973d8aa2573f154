// Package all is the list of the back office's systems: the only place where one is registered.
package all

import (
	"exporthub/pkg/admin"
	"exporthub/pkg/admin/contact"
	"exporthub/pkg/admin/invitation"
	"exporthub/pkg/admin/message"
)

// Modules returns every system in the order of the menu.
func Modules(d admin.Deps) []admin.Module {
	return []admin.Module{
		invitation.Module(d),
		contact.Module(d),
		message.Module(d),
	}
}
