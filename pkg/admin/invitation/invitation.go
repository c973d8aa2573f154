package invitation

import (
	"context"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/job"
	"exporthub/pkg/page"
)

// Status is the approval state of an invitation. Its texts are documented and stored.
type Status string

// The approval states. An invitation starts as applying, and a decision is final: nothing moves it
// out of the other two.
const (
	Applying Status = "applying"
	Approved Status = "approved"
	Rejected Status = "rejected"
)

// statuses are the labels of the states, for the page and for files.
var statuses = dataset.Dictionary{
	Name: "approve_status",
	Entries: []dataset.Entry{
		{Value: string(Applying), Label: "申请中"},
		{Value: string(Approved), Label: "已通过"},
		{Value: string(Rejected), Label: "已拒绝"},
	},
}

// Exhibition is an event people are invited to.
type Exhibition struct {
	ID   int64
	Name string
}

// ExhibitionFilter is what the list of exhibitions and its export are narrowed by.
type ExhibitionFilter struct {
	Name string `json:"name,omitempty" column:"name" maxLength:"200" doc:"名称包含的文字"`
}

// User is a visitor of exhibitions, found by phone. Empty texts are unset.
type User struct {
	ID          int64
	Phone       string
	CompanyName string
	Department  string
	Position    string
	Area        string
	PersonID    int64 // linked member of staff; 0 is none; only read for inviters
}

// Invitation is one user bringing another to an exhibition.
type Invitation struct {
	ID                 int64
	CreatedAt          time.Time
	Status             Status
	ApproveDescription string
	User               User // who is invited
	RecommendUser      User // who invites
	Exhibition         Exhibition

	// Decision is what was decided. It is set when the decision is claimed, before the job has
	// changed Status; empty is undecided.
	Decision  Status
	DecidedBy Decider   // zero when undecided, or decided before deciders were recorded
	DecidedAt time.Time // zero likewise
}

// Decider is the member of staff who decided. The name is read with the row, so it is the current
// one and not the one at the time.
type Decider struct {
	ID   int64
	Name string
}

// Filter narrows the list and its export. Absent fields narrow nothing. Phones match exactly,
// because a part of a phone would need a scan of the table.
type Filter struct {
	ExhibitionID       *int64         `json:"exhibition_id,omitempty" column:"exhibition_id" doc:"展会id"`
	RecommendUserPhone string         `json:"recommend_user_phone,omitempty" column:"recommend_user_phone" maxLength:"64" doc:"邀请人手机号(精确匹配)"`
	UserPhone          string         `json:"user_phone,omitempty" column:"user_phone" maxLength:"64" doc:"被邀请人手机号(精确匹配)"`
	CreatedFrom        *httpapi.Bound `json:"created_at_gtq,omitempty" column:"created_at" doc:"注册时间左边界(>=):日期、当地时间或 RFC 3339"`
	CreatedUntil       *httpapi.Bound `json:"created_at_ltq,omitempty" column:"created_at" doc:"注册时间右边界(<=):只有日期时包含整天"`
	Status             Status         `json:"approve_status,omitempty" column:"approve_status" enum:"applying,approved,rejected" labels:"申请中,已通过,已拒绝" doc:"审批状态"`
}

// service holds the use cases of this module. It has no state of its own.
type service struct {
	admin.Deps
	approvals *approvalKind
}

func newService(d admin.Deps) *service {
	s := &service{Deps: d}
	s.approvals = job.Define(s.approval())
	return s
}

// list returns a page of the invitations that match, newest first.
func (s *service) list(ctx context.Context, f Filter, r page.Request) (page.Result[Invitation], error) {
	q := s.query(f, nil)
	result := page.Result[Invitation]{Request: r}
	var err error
	// Counting has its own transaction, since it may be given up after its time limit, and
	// PostgreSQL refuses every statement after a cancelled one in the same transaction.
	result.Total, result.Estimated, err = admin.Total(ctx, s.DB, "invitations",
		func(ctx context.Context, tx *database.Tx, limit int) (int, error) { return count(ctx, tx, q, limit) })
	if err != nil {
		return result, err
	}
	err = s.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		result.Items, err = listPage(ctx, tx, q, result.Window())
		return err
	})
	return result, err
}

// creation is the input of create. Both users are found by phone and added when there is none.
type creation struct {
	ExhibitionID   int64
	User           User
	RecommendPhone string
}

// create stores an invitation in state applying. Users are found by phone; an unknown one is
// added, a known one keeps its recorded fields. People who may approve it get a message.
func (s *service) create(ctx context.Context, c creation) (Invitation, error) {
	var made Invitation
	err := s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		exhibition, err := exhibitionByID(ctx, tx, c.ExhibitionID)
		if err != nil {
			return err
		}
		now := s.Now()
		user, err := ensureUser(ctx, tx, c.User, now)
		if err != nil {
			return err
		}
		recommender, err := ensureUser(ctx, tx, User{Phone: c.RecommendPhone}, now)
		if err != nil {
			return err
		}
		made = Invitation{CreatedAt: now, Status: Applying, User: user, RecommendUser: recommender, Exhibition: exhibition}
		// A unique index decides whether this pair was invited before. A SELECT first would let
		// two simultaneous requests through.
		made.ID, err = insertInvitation(ctx, tx, made)
		if database.IsUnique(err) {
			return &errs.Error{
				Kind:    errs.Conflict,
				Code:    "invitation_exists",
				Message: "该邀请人已邀请此人参加该展会，请勿重复创建",
				Cause:   err,
			}
		}
		if err != nil {
			return err
		}
		return s.awaited(ctx, tx, creator(ctx), made)
	})
	return made, err
}

// creator returns the id of the caller, or 0, the system, where a ctx carries none.
func creator(ctx context.Context) int64 {
	if who := auth.From(ctx); who != nil {
		return who.UserID
	}
	return 0
}
