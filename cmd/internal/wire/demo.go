package wire

import (
	"context"
	"fmt"
	"slices"

	"exporthub/pkg/auth"
)

// DemoPassword is everybody's in embedded mode.
const DemoPassword = "123456"

// DemoPeople are who can log in to look around, in embedded mode only.
var DemoPeople = []auth.Person{
	{Account: "admin", Phone: "13800000001", Name: "演示管理员", Nickname: "管理员", Role: auth.Administrator},
	{Account: "13800000002", Phone: "13800000002", Name: "演示员工", Nickname: "员工", Role: auth.Staff},
	{Account: "13800000003", Phone: "13800000003", Name: "演示通讯员", Nickname: "通讯员", Role: auth.Correspondent},
}

// seedDemo adds the demo people and every system's demo rows where they are missing.
func (p *Parts) seedDemo(ctx context.Context) error {
	for _, person := range DemoPeople {
		if _, err := p.Auth.EnsurePerson(ctx, person, DemoPassword); err != nil {
			return fmt.Errorf("demo person %s: %w", person.Account, err)
		}
	}
	return p.SeedDemoRows(ctx, p.Config.DemoRows)
}

// SeedDemoRows adds every system's demo rows where they are missing; size is the number of rows of
// their large tables. The systems take turns from the last to the first: messages come before the
// invitations that write some, so that they stand in the order of time.
func (p *Parts) SeedDemoRows(ctx context.Context, size int) error {
	for _, m := range slices.Backward(p.Modules) {
		if m.Demo == nil {
			continue
		}
		if err := m.Demo(ctx, p.DB, size); err != nil {
			return fmt.Errorf("demo rows of %s: %w", m.Name, err)
		}
	}
	return nil
}
