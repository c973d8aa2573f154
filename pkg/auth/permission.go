package auth

// Permission is one thing a role may be allowed to do, declared by the system it belongs to.
type Permission struct {
	Name     string // <system>.<verb>: invitation.export
	Title    string // what an administrator reads
	Defaults []Role // who holds it until an administrator changes that
}

// Who holds what by default, in words that read well where a system declares its permissions.
var (
	Everyone           = []Role{Administrator, Staff, Correspondent}
	StaffAndAbove      = []Role{Administrator, Staff}
	AdministratorsOnly = []Role{Administrator}
)
