package auth

import (
	"context"

	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
)

// none is the input of a route that takes nothing; what is sent is ignored.
type none struct{}

type tokenInput struct {
	Account  string `json:"account" alias:"phoneNumber" required:"true" doc:"账号或手机号" example:"admin"`
	Password string `json:"password" required:"true" doc:"密码"`
}

// tokenData is the documented answer of a token, in the document's order.
type tokenData struct {
	Token       string `json:"token" doc:"JWT，放在 Authorization: Bearer 或 ACCESS-TOKEN 头中"`
	TokenMethod string `json:"token_method" example:"HS256"`
	TokenType   string `json:"token_type" example:"Bearer"`
	ExpireTime  int64  `json:"expire_time" doc:"到期时间，Unix 秒"`
	Nickname    string `json:"nickname"`
}

type loginInput struct {
	Phone    string `json:"phoneNumber" alias:"account" required:"true" doc:"手机号或账号" example:"13800000001"`
	Password string `json:"password" required:"true" doc:"密码"`
}

type passwordInput struct {
	Phone string `json:"phoneNumber" alias:"account" required:"true" doc:"手机号或账号" example:"13800000001"`
	Old   string `json:"old_password" required:"true" doc:"旧密码"`
	New   string `json:"new_password" required:"true" doc:"新密码，8 至 128 个字符"`
}

type meData struct {
	ID                 int64    `json:"id"`
	Name               string   `json:"name"`
	Role               int      `json:"role" doc:"1 管理员，2 员工，3 通讯员"`
	Permissions        []string `json:"permissions"`
	Menus              []any    `json:"menus"`
	ExportChannel      string   `json:"export_channel" doc:"本人导出进度的频道；知道它的人都能订阅"`
	MustChangePassword bool     `json:"must_change_password"`
}

type sessionData struct {
	User *meData `json:"user" doc:"当前人员，同 /api/user/me;未登录为 null"`
}

// maxCredentials is the largest body of a route that takes credentials, in bytes.
const maxCredentials = 4 << 10

// saved is the answer of routes that say a text only.
type saved = httpapi.Reply[none]

func said(msg string) saved { return saved{Msg: msg, NoData: true} }

// Routes are the routes of identity.
func (s *Service) Routes() []httpapi.Route {
	const tag = "身份"
	// Strangers may send to most of these, and nothing honest comes near.
	small := httpapi.WithMaxBody(maxCredentials)
	return []httpapi.Route{
		httpapi.Handle("POST", "/api/access/token", httpapi.StatusError, httpapi.Public,
			httpapi.Doc{Summary: "用账号密码换取令牌", Tag: tag}, s.handleToken, small),
		httpapi.Handle("POST", pathRenew, httpapi.StatusError, httpapi.SignedIn,
			httpapi.Doc{Summary: "续期令牌", Detail: "原令牌在其到期前仍有效；用 Cookie 调用时同时更新 Cookie。", Tag: tag}, s.handleRenew, small),
		httpapi.Handle("POST", "/api/user/login", httpapi.StatusMsg, httpapi.Public,
			httpapi.Doc{Summary: "登录", Detail: "令牌放在 HttpOnly 的 Cookie 中。", Tag: tag}, s.handleLogin, small),
		httpapi.Handle("POST", pathLogout, httpapi.StatusMsg, httpapi.Public,
			httpapi.Doc{Summary: "登出", Detail: "结束调用者的令牌；参数被忽略。", Tag: tag}, s.handleLogout, small),
		httpapi.Handle("POST", pathPassword, httpapi.StatusMsg, httpapi.Public,
			httpapi.Doc{Summary: "修改密码", Detail: "凭旧密码，不需要令牌；该人员的全部令牌随即失效。", Tag: tag}, s.handlePassword, small),
		httpapi.Handle("GET", pathMe, httpapi.StatusMsg, httpapi.SignedIn,
			httpapi.Doc{Summary: "当前人员、权限与菜单", Tag: tag}, s.handleMe),
		httpapi.Handle("GET", "/api/user/session", httpapi.StatusMsg, httpapi.Public, httpapi.Doc{
			Summary: "是否已登录", Tag: tag,
			Detail: "页面打开时询问用：未登录是正常的答案，user 为 null，不返回 401。",
		}, s.handleSession),
	}
}

func (s *Service) handleToken(ctx context.Context, in tokenInput) (tokenData, error) {
	// A form of another site can't read the answer, but its wrong passwords would lock the
	// visitor's own account for the visitor's address. ALLOWED_ORIGINS may log in, and clients that
	// are no browsers send nothing to judge by.
	if visitOf(ctx).crossSite {
		return tokenData{}, crossSite()
	}
	token, p, err := s.Login(ctx, in.Account, in.Password, visitOf(ctx).from)
	if err != nil {
		return tokenData{}, err
	}
	return s.tokenData(ctx, token, p)
}

func (s *Service) handleRenew(ctx context.Context, _ none) (tokenData, error) {
	p := From(ctx)
	token, err := s.Renew(p)
	if err != nil {
		return tokenData{}, err
	}
	if p.ByCookie {
		httpapi.AddCookie(ctx, s.cookie(token))
	}
	return s.tokenData(ctx, token, p)
}

func (s *Service) tokenData(ctx context.Context, t Token, p *Principal) (tokenData, error) {
	st, err := s.standings.get(ctx, standingKey{userID: p.UserID})
	if err != nil {
		return tokenData{}, unanswered(err)
	}
	return tokenData{
		Token:       t.Value,
		TokenMethod: "HS256",
		TokenType:   "Bearer",
		ExpireTime:  t.Expires.Unix(),
		Nickname:    st.person.callName(),
	}, nil
}

func (s *Service) handleLogin(ctx context.Context, in loginInput) (saved, error) {
	v := visitOf(ctx)
	if v.crossSite {
		// There is no cookie yet to misuse, but the answer sets one: another site could log a
		// visitor in as somebody else.
		return saved{}, crossSite()
	}
	token, _, err := s.Login(ctx, in.Phone, in.Password, v.from)
	if err != nil {
		return saved{}, err
	}
	httpapi.AddCookie(ctx, s.cookie(token))
	return said("登陆成功"), nil
}

// handleLogout is public, so that a browser can get rid of a cookie that is no longer good. Every
// good token that came along ends, the cookie's too: a header that is no good must not leave it
// alive behind the words that all is over.
func (s *Service) handleLogout(ctx context.Context, _ none) (saved, error) {
	v := visitOf(ctx)
	if v.tokenErr != nil {
		return saved{}, v.tokenErr
	}
	for _, token := range []string{v.token, v.cookie} {
		p, err := s.Identify(ctx, token)
		if errs.Is(err, errs.Unauthenticated) {
			continue
		}
		if err == nil {
			err = s.Logout(ctx, p)
		}
		if err != nil {
			return saved{}, err
		}
	}
	httpapi.AddCookie(ctx, s.noCookie())
	return said("登出成功"), nil
}

func (s *Service) handlePassword(ctx context.Context, in passwordInput) (saved, error) {
	if visitOf(ctx).crossSite {
		return saved{}, crossSite() // for the reason of handleToken
	}
	before, _ := s.caller(ctx) // who is not signed in changes their password all the same
	after, err := s.ChangePassword(ctx, in.Phone, in.Old, in.New, visitOf(ctx).from)
	if err != nil {
		return saved{}, err
	}
	if before != nil && before.ByCookie && before.UserID == after.UserID {
		// Their cookie ended with all their tokens; who has just proved who they are need not log
		// in again.
		token, err := s.tokens.issue(after.UserID, after.Epoch, "")
		if err != nil {
			return saved{}, err
		}
		httpapi.AddCookie(ctx, s.cookie(token))
	}
	return said("修改成功"), nil
}

// handleSession answers who is here. To a page that opens, nobody is an answer like others: a 401
// would stand as an error in the console of each first visit.
func (s *Service) handleSession(ctx context.Context, _ none) (sessionData, error) {
	p, err := s.caller(ctx)
	if errs.Is(err, errs.Unauthenticated) {
		return sessionData{}, nil
	}
	if err != nil {
		return sessionData{}, err
	}
	me, err := s.me(ctx, p)
	return sessionData{User: &me}, err
}

func (s *Service) handleMe(ctx context.Context, _ none) (meData, error) {
	return s.me(ctx, From(ctx))
}

// me is what a person may know of themselves.
func (s *Service) me(ctx context.Context, p *Principal) (meData, error) {
	menus := []any{}
	if s.opts.Menus != nil {
		var err error
		if menus, err = s.opts.Menus(ctx, p.UserID); err != nil {
			return meData{}, err
		}
	}
	return meData{
		ID:                 p.UserID,
		Name:               p.Name,
		Role:               int(p.Role),
		Permissions:        p.Permissions(),
		Menus:              menus,
		ExportChannel:      s.ExportChannel(p),
		MustChangePassword: p.MustChangePassword,
	}, nil
}
