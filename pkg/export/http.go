package export

import (
	"net/http"

	"exporthub/pkg/export/routes"
	"exporthub/pkg/httpapi"
)

// Routes are the engine's own endpoints. address says where a request comes from, for the audit.
func (s *Service) Routes(address func(r *http.Request) string) []httpapi.Route {
	return routes.New(routes.Deps{
		Jobs:    s.jobs,
		Store:   s.rows,
		Links:   s.links,
		Cancel:  s.Cancel,
		Address: address,
		Now:     s.now,
	})
}
