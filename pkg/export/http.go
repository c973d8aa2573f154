package export

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/job"
	"exporthub/pkg/storage"
)

const tag = "导出"

// jobPath is where a job is read.
const jobPath = "/api/exports/"

// Routes are the engine's own endpoints. address tells where a request comes from, for the audit.
func (s *Service) Routes(address func(r *http.Request) string) []httpapi.Route {
	return []httpapi.Route{
		httpapi.Handle("GET", "/api/exports/{uuid}", httpapi.Native, httpapi.SignedIn, httpapi.Doc{
			Summary: "导出任务", Tag: tag,
			Detail: "任务及其最近一次进度。带 Prefer: wait=20 时等到有变化再返回;带 If-None-Match 时没有变化返回 304。" +
				"文件与数据不一致之处(被截断的文字、被替换的无效字符、无法表示的日期)计入 cut、replaced、out_of_span，" +
				"并在 changed 中用文字说明;导出完成的消息里也有这段文字。",
		}, s.handleJob, httpapi.Answers(304, 401, 404, 422, 429)),
		s.cancelRoute(),
		httpapi.HandleHTTP("GET", "/export/{name}", httpapi.Native, httpapi.Public, httpapi.Doc{
			Summary: "下载导出文件", Tag: tag,
			Detail: "链接自带签名(参数 s)，在保留期内有效，过期返回 410。",
		}, s.handleFile(address), httpapi.Takes[fileIn](), httpapi.Gives("application/octet-stream"),
			httpapi.Answers(206, 302, 304, 403, 404, 410, 416, 422)),
		s.waitRoute(address),
	}
}

type fileIn struct {
	Name      string `json:"name" maxLength:"255" doc:"文件名"`
	Signature string `json:"s" required:"true" maxLength:"200" doc:"签名"`
}

type jobIn struct {
	UUID        string `json:"uuid" maxLength:"64" doc:"任务"`
	Prefer      string `json:"-" header:"Prefer" doc:"wait=秒数:等到有变化"`
	IfNoneMatch string `json:"-" header:"If-None-Match" doc:"上次的 ETag"`
}

// jobOut is an export as API callers see it.
type jobOut struct {
	UUID       string          `json:"uuid"`
	Status     job.State       `json:"status"`
	Dataset    string          `json:"dataset"`
	Service    string          `json:"service"`
	Format     string          `json:"format"`
	Channel    string          `json:"channel" doc:"该任务的频道"`
	Progress   int             `json:"progress" doc:"百分比"`
	Attempt    int             `json:"attempt"`
	Count      *int64          `json:"count" doc:"行数"`
	FileSize   *int64          `json:"file_size" doc:"字节"`
	FileURL    *string         `json:"file_url"`
	Cut        int64           `json:"cut" doc:"超过单元格长度上限(32,767 个 UTF-16 单元)而被截断的文字"`
	Replaced   int64           `json:"replaced" doc:"含有无效字节、已替换为 U+FFFD 的文字"`
	OutOfSpan  int64           `json:"out_of_span" doc:"超出可表示范围的日期:XLSX 中早于 1900-03-01 的写成文字，其余留空"`
	Changed    string          `json:"changed,omitempty" doc:"以上三项的文字说明;文件与数据一致时没有"`
	Filename   *string         `json:"filename"`
	Expired    bool            `json:"expired" doc:"文件已过保留期"`
	ExpiresAt  *string         `json:"expires_at"`
	Why        string          `json:"why,omitempty" doc:"为什么在等待、失败"`
	Error      *reason         `json:"error"`
	CreatedAt  string          `json:"created_at"`
	StartedAt  *string         `json:"started_at"`
	FinishedAt *string         `json:"finished_at"`
	Event      json.RawMessage `json:"event" doc:"最近一次进度，与频道里的相同"`
}

// maxWait bounds Prefer: wait, below the time after which proxies give up.
const maxWait = 25 * time.Second

func (s *Service) handleJob(ctx context.Context, in jobIn) (jobOut, error) {
	j, err := s.owned(ctx, in.UUID)
	if err != nil {
		return jobOut{}, err
	}
	if d := preferredWait(in.Prefer); d > 0 && !j.State.Ended() && (in.IfNoneMatch == "" || in.IfNoneMatch == etag(j, j.State)) {
		bound, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		if j, err = s.jobs.Wait(bound, j.UUID, j.Seq()); err != nil {
			return jobOut{}, err
		}
		httpapi.SetHeader(ctx, "Preference-Applied", "wait="+strconv.Itoa(int(d/time.Second)))
	}
	out, err := s.view(ctx, j)
	if err != nil {
		return jobOut{}, err
	}
	httpapi.SetETag(ctx, etag(j, out.Status))
	return out, nil
}

// etag names a job as it is shown: its row, and what the row alone does not tell, that its file has expired.
func etag(j job.Job, shown job.State) string {
	return `"` + strconv.FormatUint(j.Seq(), 10) + string(shown[:1]) + `"`
}

// owned returns a job the caller may see; another's and an unknown one are the same NotFound.
func (s *Service) owned(ctx context.Context, id string) (job.Job, error) {
	j, err := s.store.Get(ctx, id)
	if err != nil {
		return j, err
	}
	if j.Kind != KindName || !mayFollow(auth.From(ctx), j.OwnerID) {
		return j, errs.New(errs.NotFound, "没有这个任务")
	}
	return j, nil
}

// preferredWait reads Prefer: wait=N (RFC 7240); 0 is none.
func preferredWait(header string) time.Duration {
	for _, p := range strings.Split(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if n, err := strconv.Atoi(value); strings.EqualFold(name, "wait") && err == nil && n > 0 {
			return min(time.Duration(min(n, 3600))*time.Second, maxWait)
		}
	}
	return 0
}

func (s *Service) view(ctx context.Context, j job.Job) (jobOut, error) {
	e, err := readJob(j)
	if err != nil {
		return jobOut{}, err
	}
	expired := false
	if f := e.detail.File; f != nil && j.State == job.StateSuccess {
		expired = !s.o.Now().Before(f.ExpiresAt)
		if expired {
			gone := *f
			gone.URL = "" // the event must not offer what can't be fetched
			e.detail.File = &gone
		}
	}
	v := e.event(false)
	out := jobOut{
		UUID: j.UUID, Status: j.State, Dataset: e.payload.Dataset, Service: e.payload.Service, Format: e.payload.Format,
		Channel: jobStream(j.UUID), Progress: j.Progress, Attempt: j.Attempt,
		Count: v.Count, FileSize: v.FileSize, FileURL: v.FileURL, Error: v.Error, Event: e.render(false),
		Cut: v.Cut, Replaced: v.Replaced, OutOfSpan: v.OutOfSpan, Changed: v.Changed,
		CreatedAt:  httpapi.FormatTime(ctx, httpapi.Native, j.CreatedAt),
		StartedAt:  httpapi.NullTime(ctx, httpapi.Native, j.StartedAt),
		FinishedAt: httpapi.NullTime(ctx, httpapi.Native, j.FinishedAt),
		Why:        why(e),
	}
	if f := e.detail.File; f != nil && j.State == job.StateSuccess {
		out.Filename = &f.Filename
		out.ExpiresAt = httpapi.NullTime(ctx, httpapi.Native, f.ExpiresAt)
		if out.Expired = expired; expired {
			out.Status, out.Why = statusExpired, "文件已过保留期，请重新导出"
		}
	}
	return out, nil
}

// why says in words what keeps a job or ended it.
func why(e exportJob) string {
	switch {
	case e.CancelRequested && !e.State.Ended():
		return "正在取消"
	case e.Failure != nil && e.State == job.StateQueued:
		return "上次执行没有成功，将自动重试:" + e.Failure.Message
	case e.Failure != nil:
		return e.Failure.Message
	case e.State == job.StateQueued && e.Attempt > 1:
		return "执行任务的进程已退出，等待其他进程接手"
	case e.State == job.StateQueued:
		return "正在排队，等待空闲的执行进程"
	}
	return ""
}

// linkTTL is how long a redirect to the store's own link is good: as long as a download needs to begin.
const linkTTL = 5 * time.Minute

func (s *Service) handleFile(address func(r *http.Request) string) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		var in fileIn
		if err := httpapi.Decode(r, &in); err != nil {
			return err
		}
		d, err := s.openLink(r.Context(), in.Name, in.Signature)
		if err != nil {
			return err
		}
		return s.serveFile(w, r, d, address(r))
	}
}

// serveFile answers with a file somebody may fetch, and records that they did.
func (s *Service) serveFile(w http.ResponseWriter, r *http.Request, d download, address string) error {
	ctx := r.Context()
	if err := s.audit(ctx, d, address); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", "private, no-store")
	link, err := s.o.Store.Link(ctx, d.ObjectKey, storage.LinkOptions{Filename: d.Filename, TTL: linkTTL})
	if err != nil {
		return fmt.Errorf("link to %s: %w", d.ObjectKey, err)
	}
	if link != "" {
		http.Redirect(w, r, link, http.StatusFound)
		return nil
	}
	file, info, err := s.o.Store.Open(ctx, d.ObjectKey)
	if errs.Is(err, errs.NotFound) {
		return errs.Wrap(errs.Gone, "文件已被清理，请重新导出", err)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", d.ObjectKey, err)
	}
	defer file.Close()
	if d.size != nil && info.Size != *d.size {
		s.o.Logger.Error("stored file is not as it was written", "job", d.UUID, "key", d.ObjectKey, "size", info.Size, "want", *d.size)
		return errs.New(errs.Gone, "文件已损坏，请重新导出")
	}
	h.Set("Content-Type", d.ContentType)
	h.Set("Content-Disposition", contentDisposition(d.Filename, path.Base(d.ObjectKey)))
	h.Set("X-Content-Type-Options", "nosniff")
	// Names, types and lengths are set above; what is left is ranges and conditions.
	http.ServeContent(w, r, "", info.Modified, file)
	return nil
}

// contentDisposition names a download for every browser: a plain name for old ones, the real one in filename* (RFC 6266).
func contentDisposition(name, plain string) string {
	encoded := mime.FormatMediaType("attachment", map[string]string{"filename": name})
	if encoded == "" || !strings.Contains(encoded, "filename*") {
		return encoded
	}
	return `attachment; filename="` + plain + `"; ` + strings.TrimPrefix(encoded, "attachment; ")
}
