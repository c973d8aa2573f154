package export

import (
	"context"

	"exporthub/pkg/auth"
	"exporthub/pkg/export/record"
	"exporthub/pkg/export/routes"
	"exporthub/pkg/httpapi"
)

// Visitors says who is behind a request.
type Visitors = routes.Visitors

// Routes are the engine's own endpoints.
func (s *Service) Routes(visitors Visitors) []httpapi.Route {
	return routes.New(routes.Deps{
		DB:          s.db,
		Jobs:        s.jobs,
		Workers:     s.workers,
		Registry:    s.registry,
		Formats:     s.formats,
		Queue:       s.Queue,
		ShowLeft:    s.ShowLeft,
		Quota:       s.admission.quota,
		Store:       s.rows,
		Links:       s.links,
		Cancel:      s.Cancel,
		MayStillSee: s.mayStillSee,
		Visitors:    visitors,
		Now:         s.now,
	})
}

// mayStillSee is the check of a request that has waited: rights may have been taken away meanwhile.
func (s *Service) mayStillSee(ctx context.Context, uuid string) error {
	who := auth.From(ctx)
	if who == nil {
		return record.NotFound()
	}
	now, err := s.channels.people.Person(ctx, who.UserID)
	if err != nil {
		return err
	}
	if now.Disabled {
		return record.NotFound()
	}
	_, err = record.Visible(auth.With(ctx, now), s.rows, uuid)
	return err
}
