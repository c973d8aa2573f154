package message

import (
	"regexp"

	"exporthub/pkg/dataset"
)

// The system whose messages name people by their phones, and the permission without which these are
// masked. It is the one that masks them in that system's own list: what a message says of a row, it
// says as the list does. The text is stored whole and masked where it leaves, since permissions
// change after a message was written, and messages of before are masked too.
const (
	phonesOf   = "invitation"
	phonesNeed = "invitation.read_phone"
)

// phoneNumber is what looks like a phone number, as invitations take it. Other long numbers match
// too, in the reason of a decision for example: hiding one too many is the safe side.
var phoneNumber = regexp.MustCompile(`\+?[0-9][0-9-]{4,30}`)

// phoneMask hides what the lists hide: 138****0001. It is the mask of every column with text of
// other systems, in rows that may hold phones.
var phoneMask = dataset.Mask{
	Permission: phonesNeed,
	Head:       3,
	Tail:       4,
	Of:         phoneNumber,
}

// mayHoldPhones reports whether the mask is for this message. Elsewhere it would hide the numbers
// in the names of files.
func (m *Message) mayHoldPhones() bool { return m.Plugin == phonesOf }

// view is the columns as a person with these permissions may see them. The three lists have the
// same ones.
func view(can func(permission string) bool) dataset.View { return lists[0].export().View(can) }

// seenIn is the message with its texts as a view shows them.
func (m Message) seenIn(v dataset.View) Message {
	if !m.mayHoldPhones() {
		return m
	}
	m.Head = v.Text("head", m.Head)
	m.Title = v.Text("title", m.Title)
	m.Content = v.Text("content", m.Content)
	m.Project = v.Text("project_name", m.Project)
	return m
}
