package message

import (
	"regexp"

	"exporthub/pkg/dataset"
)

// numbersNeed is the permission without which phone numbers in messages of a system are masked, by
// the system's plugin code. It is the one that masks them in that system's own list: what a message
// says of a row, it says as the list does. The text is stored whole and masked where it leaves,
// since permissions change after a message was written, and messages of before are masked too.
var numbersNeed = map[string]string{"invitation": "invitation.read_phone"}

// phoneNumber is what looks like a phone number, as invitations take it. Other long numbers match
// too, in the reason of a decision for example: hiding one too many is the safe side.
var phoneNumber = regexp.MustCompile(`\+?[0-9][0-9-]{4,30}`)

// numberMask hides what the lists hide: 138****0001.
var numberMask = dataset.Mask{Permission: "-", Head: 3, Tail: 4}

// seenBy is the message as a person with these permissions may read it.
func (m Message) seenBy(can func(permission string) bool) Message {
	need := numbersNeed[m.Plugin]
	if need == "" || can != nil && can(need) {
		return m
	}
	for _, text := range []*string{&m.Head, &m.Title, &m.Content, &m.Project} {
		*text = phoneNumber.ReplaceAllStringFunc(*text, numberMask.Hide)
	}
	return m
}
