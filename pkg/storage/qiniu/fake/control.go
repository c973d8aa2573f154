package fake

import (
	"encoding/json"
	"net/http"
	"strings"
)

// control is the server's own interface, for tests in other processes and for people:
//
//	GET    /_fake/objects?bucket=B   what is stored
//	GET    /_fake/uploads            what is unfinished
//	GET    /_fake/requests           what was asked
//	POST   /_fake/faults             a JSON array of Fault to add
//	DELETE /_fake/faults             remove all
//
// Requests to it are not in the list of requests and meet no fault. It needs no signature: the
// server listens on the loopback only, with keys that everyone knows.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, control) {
	case "GET objects":
		answerJSON(w, http.StatusOK, s.Objects(r.URL.Query().Get("bucket")))
	case "GET uploads":
		answerJSON(w, http.StatusOK, s.Uploads())
	case "GET requests":
		answerJSON(w, http.StatusOK, s.Requests())
	case "POST faults":
		var faults []Fault
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
		// A misspelt field would be a fault that never happens, and a test that proves nothing.
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&faults)
		if err == nil {
			err = s.Fail(faults...)
		}
		if err != nil {
			answerJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		answerJSON(w, http.StatusOK, map[string]int{"added": len(faults)})
	case "DELETE faults":
		s.Heal()
		answerJSON(w, http.StatusOK, struct{}{})
	default:
		answerJSON(w, http.StatusNotFound, map[string]string{"error": "no such interface"})
	}
}
