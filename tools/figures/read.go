package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// figures are the counts over the files that are no tests; wide and words are counted in tests
// and documents too, since people read those as well.
type figures struct {
	files, lines, blank, comments int
	codeInside, commentsInside    int // lines of function bodies; comments among them
	functions                     int
	longest                       place // the longest function
	longestFile                   place
	over60                        []place
	tuples                        []place // assignments of three or more values that are no call's results
	dense                         int     // literals of several lines with several fields on one of them
	literals                      int
	wide                          []place // comment lines over 100 columns
	words                         []place
	undocumented                  []place
}

// place is where something was found.
type place struct {
	file string
	line int
	size int
	text string
}

const widest = 100

func read(root, only string) (*figures, error) {
	f := &figures{}
	err := filepath.WalkDir(filepath.Join(root, only), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if name == "node_modules" || name == "dist" || name == "testdata" || name == "data" || name == "bin" ||
				strings.HasPrefix(name, ".") && name != "." && name != ".." {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		// The list of words stands in this command's own source.
		if strings.HasPrefix(rel, filepath.Join("tools", "figures")) {
			return nil
		}
		switch filepath.Ext(name) {
		case ".go":
			return f.source(path, rel)
		case ".md", ".vue", ".ts", ".yaml", ".conf", ".mmd":
			return f.document(path, rel)
		}
		if name == "Makefile" || name == "Dockerfile" {
			return f.document(path, rel)
		}
		return nil
	})
	return f, err
}

func (f *figures) document(path, rel string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i, line := range strings.Split(string(content), "\n") {
		f.words = append(f.words, foreign(rel, i+1, line)...)
	}
	return nil
}

func (f *figures) source(path, rel string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, content, parser.ParseComments)
	if err != nil {
		return err
	}
	lines := strings.Split(string(bytes.TrimSuffix(content, []byte("\n"))), "\n")
	commented := make([]bool, len(lines)+1)
	for _, group := range file.Comments {
		for _, c := range group.List {
			first, last := set.Position(c.Pos()), set.Position(c.End())
			// A comment behind code on its line is inside a function like any other, but no line of
			// comments.
			if strings.TrimSpace(lines[first.Line-1][:first.Column-1]) == "" {
				for l := first.Line; l <= last.Line; l++ {
					commented[l] = true
				}
			}
			for l := first.Line; l <= last.Line; l++ {
				if columns(lines[l-1]) > widest {
					f.wide = append(f.wide, place{file: rel, line: l, text: lines[l-1]})
				}
			}
		}
	}
	for i, line := range lines {
		f.words = append(f.words, foreign(rel, i+1, line)...)
	}
	test := strings.HasSuffix(rel, "_test.go")
	if test {
		f.inspect(set, file, rel, true)
		return nil
	}
	f.files++
	f.lines += len(lines)
	if len(lines) > f.longestFile.size {
		f.longestFile = place{file: rel, size: len(lines)}
	}
	for i, line := range lines {
		switch {
		case commented[i+1]:
			f.comments++
		case strings.TrimSpace(line) == "":
			f.blank++
		}
	}
	f.bodies(set, file, rel, lines)
	f.inspect(set, file, rel, false)
	f.exported(set, file, rel)
	return nil
}

// columns counts a tab as four columns and everything else as one, as most editors show it.
func columns(line string) int {
	n := 0
	for _, r := range line {
		if r == '\t' {
			n += 4 - n%4
			continue
		}
		n++
	}
	return n
}

// bodies counts functions and the comments inside them.
func (f *figures) bodies(set *token.FileSet, file *ast.File, rel string, lines []string) {
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		first, last := set.Position(fn.Pos()).Line, set.Position(fn.End()).Line
		size := last - first + 1
		f.functions++
		at := place{file: rel, line: first, size: size, text: fn.Name.Name}
		if size > f.longest.size {
			f.longest = at
		}
		if size > 60 {
			f.over60 = append(f.over60, at)
		}
		for l := first; l <= last; l++ {
			if strings.TrimSpace(lines[l-1]) != "" {
				f.codeInside++
			}
		}
		for _, group := range file.Comments {
			if group.Pos() > fn.Body.Lbrace && group.End() < fn.Body.Rbrace {
				f.commentsInside++
			}
		}
	}
}

// inspect finds assignments of three or more values, and literals with several fields on a line.
func (f *figures) inspect(set *token.FileSet, file *ast.File, rel string, test bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if len(n.Lhs) >= 3 && len(n.Rhs) == len(n.Lhs) && !test {
				p := set.Position(n.Pos())
				f.tuples = append(f.tuples, place{file: rel, line: p.Line, size: len(n.Lhs)})
			}
		case *ast.CompositeLit:
			if test || len(n.Elts) < 2 || set.Position(n.Lbrace).Line == set.Position(n.Rbrace).Line {
				return true
			}
			if _, keyed := n.Elts[0].(*ast.KeyValueExpr); !keyed {
				return true
			}
			f.literals++
			last := 0
			for _, e := range n.Elts {
				if l := set.Position(e.Pos()).Line; l == last {
					f.dense++
					break
				}
				last = set.Position(e.End()).Line
			}
		}
		return true
	})
}

// exported finds exported functions and types without a comment.
func (f *figures) exported(set *token.FileSet, file *ast.File, rel string) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || receiverExported(d.Recv)) {
				f.undocumented = append(f.undocumented, place{file: rel, line: set.Position(d.Pos()).Line, text: d.Name.Name})
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if t, ok := s.(*ast.TypeSpec); ok && t.Name.IsExported() && d.Doc == nil && t.Doc == nil && t.Comment == nil {
					f.undocumented = append(f.undocumented, place{file: rel, line: set.Position(t.Pos()).Line, text: t.Name.Name})
				}
			}
		}
	}
}

func receiverExported(recv *ast.FieldList) bool {
	t := recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}
