package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Writers in other languages, measured where they are installed. Each is a program that takes the
// number of rows, writes a file of its own and prints a sample.
var (
	//go:embed peers/xlsxwriter.py
	pythonSource string
	//go:embed peers/libxlsxwriter.c
	cSource string
)

// missing says what a writer in another language lacks here, and what to install.
type missing string

func (m missing) Error() string { return string(m) }

// python returns the command of Python's XlsxWriter.
func python(ctx context.Context, _ string) ([]string, error) {
	// Debian's, which its package of XlsxWriter belongs to; another in PATH may not see it.
	const program = "/usr/bin/python3"
	if exec.CommandContext(ctx, program, "-c", "import xlsxwriter").Run() != nil {
		return nil, missing("XlsxWriter is not installed (python3-xlsxwriter)")
	}
	return []string{program, "-c", pythonSource}, nil
}

// compiled returns the command of a C program on libxlsxwriter, built in dir with optimisation, as
// distributions build it.
func compiled(ctx context.Context, dir string) ([]string, error) {
	source, program := filepath.Join(dir, "libxlsxwriter.c"), filepath.Join(dir, "libxlsxwriter")
	probe := filepath.Join(dir, "probe.c")
	if err := os.WriteFile(probe, []byte("#include <xlsxwriter.h>\n"), 0o600); err != nil {
		return nil, err
	}
	// Asked of the compiler and not of the package manager: the header may come from anywhere.
	if exec.CommandContext(ctx, "cc", "-fsyntax-only", probe).Run() != nil {
		return nil, missing("libxlsxwriter is not installed (libxlsxwriter-dev and a C compiler)")
	}
	if err := os.WriteFile(source, []byte(cSource), 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, "cc", "-O2", "-o", program, source, "-lxlsxwriter").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile the writer on libxlsxwriter: %w\n%s", err, out)
	}
	return []string{program}, nil
}
