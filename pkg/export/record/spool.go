package record

import (
	"fmt"
	"regexp"
	"strconv"
)

// spoolName matches the names that os.CreateTemp makes of SpoolPattern.
var spoolName = regexp.MustCompile(
	`^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-([0-9]{1,9})-[^/]*\.part$`)

// SpoolPattern is the pattern for os.CreateTemp of the file that an attempt writes. The name
// carries the uuid and the attempt, by which the clean-up on that machine finds out whether the
// file is still wanted; it has nothing else to go by, since a killed worker leaves no row about
// the file.
func SpoolPattern(uuid string, attempt int) string {
	return fmt.Sprintf("%s-%d-*.part", uuid, attempt)
}

// ParseSpoolName returns whose file a name in the spool folder is. It reports false for names that
// are not of this package's making, which are left alone.
func ParseSpoolName(name string) (uuid string, attempt int, ok bool) {
	m := spoolName.FindStringSubmatch(name)
	if m == nil {
		return "", 0, false
	}
	attempt, err := strconv.Atoi(m[2])
	return m[1], attempt, err == nil
}
