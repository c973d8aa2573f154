package jobs

// Kind is a kind of job that the program runs.
type Kind struct {
	Name    string // as in the rows and in job.Spec.Name
	Package string // where it is declared and run
	Does    string
}

// Kinds is every kind of job, for the reader and for the start: a program whose registered kinds
// differ from this table does not start (job.Engine.Runner). The names are strings, not imports,
// because this package meets the kinds through the engine alone.
var Kinds = []Kind{
	{
		Name:    "export",
		Package: "pkg/export",
		Does:    "writes the rows of a list into a file and stores it",
	},
	{
		Name:    "approval",
		Package: "pkg/admin/invitation",
		Does:    "applies a decision about one invitation or many",
	},
}

// KindNames returns the names of Kinds.
func KindNames() []string {
	names := make([]string, len(Kinds))
	for i, k := range Kinds {
		names[i] = k.Name
	}
	return names
}
