package localserver

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// Unprivileged is the user that a server runs as where this process is root, which PostgreSQL
// refuses to be: the first of the names that exists, or nobody. Nil is this process's own user.
func Unprivileged(names ...string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range append(names, "nobody") {
		// Packages make the user postgres or mysql; images without them still have nobody.
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{
			Uid: uint32(uid),
			Gid: uint32(gid),
		}, nil
	}
	return nil, fmt.Errorf("running as root, and none of the users %q and nobody exists to run a database as", names)
}

// Command prepares a program that runs as who, in a directory that this user may enter. LC_ALL
// keeps what it prints in English, and HOME keeps it from reading a person's settings.
func Command(who *syscall.Credential, dir, binary string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "LC_ALL=C", "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	return cmd
}
