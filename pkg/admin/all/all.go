// Package all is the list of the back office's modules. It is a package of its own because admin is
// imported by every module, and can't import them in turn. Adding a module means adding its line
// here; nothing registers itself.
package all

import (
	"exporthub/pkg/admin"
	"exporthub/pkg/admin/contact"
	"exporthub/pkg/admin/invitation"
	"exporthub/pkg/admin/message"
	"exporthub/pkg/admin/trail"
)

// Modules returns every module in the order of the menu. Reactions to an event run in this order
// too.
func Modules(d admin.Deps) []admin.Module {
	return []admin.Module{
		invitation.Module(d),
		contact.Module(d),
		message.Module(d),
		trail.Module(d),
	}
}
