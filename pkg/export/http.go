package export

import (
	"exporthub/pkg/export/routes"
	"exporthub/pkg/httpapi"
)

// Visitors says who is behind a request.
type Visitors = routes.Visitors

// Routes are the engine's own endpoints.
func (s *Service) Routes(visitors Visitors) []httpapi.Route {
	return routes.New(routes.Deps{
		DB:       s.db,
		Jobs:     s.jobs,
		Registry: s.registry,
		Formats:  s.formats,
		Queue:    s.Queue,
		Quota:    s.admission.quota,
		Store:    s.rows,
		Links:    s.links,
		Cancel:   s.Cancel,
		Visitors: visitors,
		Now:      s.now,
	})
}
