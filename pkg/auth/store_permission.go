package auth

import (
	"context"
	"slices"
	"strings"

	"exporthub/pkg/audit"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// StaffWrite is the permission for people, groups, roles, menus and limits.
const StaffWrite = "staff.write"

// Declared are the permissions of this package itself.
var Declared = []Permission{{Name: StaffWrite, Title: "管理人员、角色与权限", Defaults: AdministratorsOnly}}

// loadRoles reads what every role may do.
func (s *Service) loadRoles(ctx context.Context, _ struct{}) (roles rolePermissions, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		roles = rolePermissions{}
		rows, err := tx.Query(ctx, `SELECT role, permission FROM role_permissions`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var role Role
			var permission string
			if err := rows.Scan(&role, &permission); err != nil {
				return err
			}
			if roles[role] == nil {
				roles[role] = map[string]bool{}
			}
			roles[role][permission] = true
		}
		return rows.Err()
	})
	return roles, err
}

// Seed gives permissions the program declares to their default roles, each once in the life of the
// database: what an administrator changed since stays. It is called at start, after the migrations,
// by any number of processes at once.
func (s *Service) Seed(ctx context.Context, permissions []Permission) error {
	all := append(slices.Clone(Declared), permissions...)
	// One order for all processes, or they could deadlock.
	slices.SortStableFunc(all, func(a, b Permission) int { return strings.Compare(a.Name, b.Name) })
	err := s.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		for _, p := range all {
			if err := s.seedPermission(ctx, tx, p); err != nil {
				return err
			}
		}
		return nil
	})
	s.roles.drop(func(struct{}) bool { return true })
	return err
}

func (s *Service) seedPermission(ctx context.Context, tx *database.Tx, p Permission) error {
	err := tx.InsertIgnore(ctx, `INSERT INTO known_permissions (permission, seeded) VALUES (?, 0)`, p.Name)
	if err != nil {
		return err
	}
	// The row exists now. The one process whose update turns its 0 into 1 gives out the defaults.
	n, err := tx.Exec(ctx, `UPDATE known_permissions SET seeded = 1 WHERE permission = ? AND seeded = 0`, p.Name)
	if err != nil || n == 0 {
		return err
	}
	for _, role := range p.Defaults {
		if err := grant(ctx, tx, role, p.Name); err != nil {
			return err
		}
		if err := s.recordRight(ctx, tx, audit.RoleGrant, role, p.Name+"（新权限的默认值）"); err != nil {
			return err
		}
	}
	return nil
}

// recordRight records that a role was given or lost permissions.
func (s *Service) recordRight(ctx context.Context, tx *database.Tx, action string, role Role, permissions string) error {
	return audit.Record(ctx, tx, audit.Entry{
		At:      s.now(),
		Action:  action,
		Subject: audit.Role(int(role)),
		Detail:  permissions,
	})
}

func grant(ctx context.Context, tx *database.Tx, role Role, permission string) error {
	return tx.InsertIgnore(ctx, `INSERT INTO role_permissions (role, permission) VALUES (?, ?)`, int(role), permission)
}

// SetPermissions makes the given permissions the ones a role holds. Unknown ones are Invalid. The
// administrators' role can't lose StaffWrite, without which nobody could ever change anything back.
func (s *Service) SetPermissions(ctx context.Context, role Role, permissions []string) error {
	if !role.Valid() {
		return errs.Invalidf("role", "没有这个角色")
	}
	if role == Administrator && !slices.Contains(permissions, StaffWrite) {
		return errs.New(errs.Conflict, "管理员角色必须保留“管理人员、角色与权限”的权限")
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		known, err := database.All(ctx, tx, database.Scalar[string], `SELECT permission FROM known_permissions`)
		if err != nil {
			return err
		}
		for _, p := range permissions {
			if !slices.Contains(known, p) {
				return errs.Invalidf("permissions", "没有 %s 这个权限", p)
			}
		}
		return s.replacePermissions(ctx, tx, role, permissions)
	})
	s.roles.drop(func(struct{}) bool { return true })
	return err
}

// replacePermissions makes these the permissions of a role, and records what is new and what is
// gone.
func (s *Service) replacePermissions(ctx context.Context, tx *database.Tx, role Role, permissions []string) error {
	before, err := database.All(ctx, tx, database.Scalar[string],
		`SELECT permission FROM role_permissions WHERE role = ? ORDER BY permission`+tx.ForUpdate(), int(role))
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM role_permissions WHERE role = ?`, int(role)); err != nil {
		return err
	}
	for _, p := range permissions {
		if err := grant(ctx, tx, role, p); err != nil {
			return err
		}
	}
	for action, difference := range map[string][]string{
		audit.RoleRevoke: without(before, permissions),
		audit.RoleGrant:  without(permissions, before),
	} {
		if len(difference) == 0 {
			continue
		}
		if err := s.recordRight(ctx, tx, action, role, strings.Join(difference, ", ")); err != nil {
			return err
		}
	}
	return nil
}

// without returns what of all is not among others.
func without(all, others []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool { return slices.Contains(others, one) })
}

// RolePermissions returns what every role holds now, each list in alphabetical order.
func (s *Service) RolePermissions(ctx context.Context) (map[Role][]string, error) {
	roles, err := s.roles.get(ctx, struct{}{})
	if err != nil {
		return nil, unanswered(err)
	}
	all := map[Role][]string{}
	for _, r := range Everyone {
		all[r] = (&Principal{permissions: roles[r]}).Permissions()
	}
	return all, nil
}
