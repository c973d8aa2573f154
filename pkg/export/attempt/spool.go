package attempt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
)

// CheckSpool reports whether files can be written where exports write theirs. It writes one, since
// a folder can be there and be full, read-only or another user's.
func (r *Runner) CheckSpool(context.Context) error {
	if err := os.MkdirAll(r.deps.SpoolDir, 0o700); err != nil {
		return fmt.Errorf("make spool directory: %w", err)
	}
	f, err := os.CreateTemp(r.deps.SpoolDir, ".check-*")
	if err != nil {
		return fmt.Errorf("write into the spool directory: %w", err)
	}
	// A full disk still takes an empty file.
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// createSpool makes the file that an attempt writes. Only this user may read it: it holds what the
// person who asked may see, and others on the machine may not.
func (r *Runner) createSpool(j job.Job) (*os.File, error) {
	if err := os.MkdirAll(r.deps.SpoolDir, 0o700); err != nil {
		return nil, spoolError(fmt.Errorf("make spool directory: %w", err))
	}
	f, err := os.CreateTemp(r.deps.SpoolDir, record.SpoolPattern(j.UUID, j.Attempt))
	if err != nil {
		return nil, spoolError(fmt.Errorf("make spool file: %w", err))
	}
	return f, nil
}

// spoolError distinguishes a full or broken disk from other failures. Both are worth another
// attempt, which may run on another machine.
func spoolError(err error) error {
	if errs.As(err) != nil {
		return err // it says already what it is
	}
	// EDQUOT, a quota of the operating system's user, needs the same repair as a full disk.
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &errs.Error{
			Kind:    errs.Unavailable,
			Code:    "disk_full",
			Message: "服务器磁盘空间不足，请稍后再试或联系管理员",
			Cause:   err,
		}
	}
	var path *os.PathError
	if errors.As(err, &path) {
		return &errs.Error{
			Kind:    errs.Unavailable,
			Code:    "disk",
			Message: "服务器写文件失败，请稍后再试或联系管理员",
			Cause:   err,
		}
	}
	return err
}
