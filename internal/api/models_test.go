package api_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/api"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// backendWithModels has the versions old, good and bad, of which the gate promoted
// good and rejected bad, and damaged, whose file is cut; none has a role.
func backendWithModels(t *testing.T) (*api.Backend, *registry.Registry) {
	t.Helper()
	folder := t.TempDir()
	r, err := registry.Open("file://" + folder)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range []struct{ name, outcome string }{{"old", ""}, {"good", message.OutcomePromoted}, {"bad", message.OutcomeRejected}, {"damaged", ""}} {
		made, err := model.New(&als.Factors{Mean: float32(i), Lambda: 1}, model.MovieLensScale)
		if err != nil {
			t.Fatal(err)
		}
		m := registry.Manifest{
			Version: v.name, CreatedAt: time.Unix(int64(1_600_000_000+i), 0).UTC(), Algorithm: "als", Parameters: []byte(`{"rank":` + "1234"[i:i+1] + `}`),
			Metrics: message.Metrics{RMSE: 0.9}, Verdict: "in words",
		}
		if v.outcome != "" {
			m.Gate = &message.Verdict{Outcome: v.outcome, Reason: "it is " + v.name}
		}
		if _, err := r.Publish(t.Context(), made, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(filepath.Join(folder, "models", "damaged", "model.safetensors"), 9); err != nil {
		t.Fatal(err)
	}
	return &api.Backend{Registry: r}, r
}

func TestRolesChangeByHTTPAsByTheCommands(t *testing.T) {
	b, r := backendWithModels(t)
	for _, c := range []struct{ line, body, what string }{
		{"POST /api/models/promote", `{"version":"old"}`, "old is champion"},
		{"POST /api/models/promote", `{"version":"old"}`, "version old is the champion already"},
		{"POST /api/models/promote", `{"version":"good","role":"champion","reason":"better"}`, "good is champion in place of old"},
		{"POST /api/models/promote", `{"version":"bad","role":"challenger:new","share":0.25}`, "bad is challenger:new of 25 % of the users"},
		{"POST /api/models/promote", `{"version":"bad","role":"challenger:new","share":0.25}`, "version bad is challenger:new already, with this share"},
		{"POST /api/models/withdraw", `{"role":"challenger:new"}`, "bad is challenger:new no more"},
		{"POST /api/models/rollback", `{"expected":"good"}`, "old is champion again in place of good"},
		{"POST /api/models/promote", `{"version":"bad","force":true,"reason":"the holdout was wrong"}`, "bad is champion in place of old"},
		{"POST /api/models/rollback", ``, "old is champion again in place of bad"},
	} {
		_, got, problem := serve(t, newRequest(c.line, c.body), b)
		if problem != nil || gjson.Get(got, "what").Str != c.what || gjson.Get(got, "changed").Bool() == strings.Contains(c.what, "already") {
			t.Errorf("%s %s: %v, got %s, want %s", c.line, c.body, problem, got, c.what)
		}
	}
	p, _, err := r.Next(5) // the forced one
	if err != nil || !p.Forced || p.Reason != "the holdout was wrong" || p.Verdict.Warnings[0] != "the gate's verdict was rejected: it is bad" {
		t.Errorf("the log has %+v, %v", p, err)
	}
	_, list, problem := serve(t, newRequest("GET /api/models", ""), b)
	if problem != nil || gjson.Get(list, "models.#.version").Raw != `["old","good","bad","damaged"]` || gjson.Get(list, "models.0.role").Str != "champion" || gjson.Get(list, "models.0.rmse").Num != 0.9 {
		t.Errorf("%v, got %s", problem, list)
	}
	if _, got, _ := serve(t, newRequest("GET /api/models/champion", ""), b); gjson.Get(got, "version").Str != "old" || gjson.Get(got, "verdict").Str != "in words" {
		t.Errorf("the champion is %s", got)
	}
	if _, got, _ := serve(t, newRequest("GET /api/models/compare?a=champion&b=bad", ""), b); gjson.Get(got, "parameters").Raw != `[{"name":"rank","a":"1","b":"3"}]` || gjson.Get(got, "b.gate.outcome").Str != "rejected" {
		t.Errorf("compared: %s", got)
	}
}

func TestWhatIsWrongWithModelsIsSaid(t *testing.T) {
	b, r := backendWithModels(t)
	for _, c := range []struct {
		line, body string
		status     int
		detail     string
	}{
		{"GET /api/models/champion", "", 409, "the registry has no champion yet"},
		{"POST /api/models/rollback", "{}", 409, "the registry has no champion yet"},
		{"GET /api/models/none", "", 404, "not found in the registry"},
		{"GET /api/models/..%2F..%2Fetc", "", 400, "is not a version's name"},
		{"GET /api/models/challenger:none", "", 404, "no version is challenger:none"},
		{"GET /api/models/compare", "", 400, "the query parameter a is missing"},
		{"GET /api/models/compare?a=old", "", 400, "the query parameter b is missing"},
		{"GET /api/models/compare?a=old&b=none", "", 404, "not found in the registry"},
		{"GET /api/models/compare?a=old&b=bad&c=x", "", 400, `the query parameter "c" is unknown; there are a, b`},
		{"POST /api/models/promote", "", 400, "the body is empty"},
		{"POST /api/models/promote", "[]", 400, "does not fit the schema Promotion"},
		{"POST /api/models/promote", "{}", 400, "version is missing; GET /api/models lists them"},
		{"POST /api/models/promote", `{"version":"bad","fource":true}`, 400, `unknown field "fource"`},
		{"POST /api/models/promote", `{"version":"bad"}`, 409, `refused: the gate's verdict on bad is "rejected": it is bad; overrule it by "force": true, with a reason`},
		{"POST /api/models/promote", `{"version":"damaged","force":true}`, 409, "damaged in the registry"},
		{"POST /api/models/promote", `{"version":"none"}`, 404, "not found in the registry"},
		{"POST /api/models/promote", `{"version":"../x"}`, 400, "is not a version's name"},
		{"POST /api/models/promote", `{"version":"old","share":0.5}`, 400, "share is for challengers"},
		{"POST /api/models/promote", `{"version":"old","expected":"x"}`, 400, "the field expected has no meaning here; there are version, role, share, force and reason"},
		{"POST /api/models/promote", `{"version":"old","role":"king"}`, 400, `unusable role: "king": give challenger:NAME`},
		{"POST /api/models/promote", `{"version":"old","role":"challenger:UPPER"}`, 400, "is not a challenger's name"},
		{"POST /api/models/promote", `{"version":"old","role":"challenger:x","share":1.5}`, 400, "unusable share"},
		{"POST /api/models/promote", `{"version":"old","role":"challenger:x","force":true}`, 400, "force has no meaning for a challenger"},
		{"POST /api/models/promote", `{"version":"old","role":"challenger:previous","share":0.5}`, 400, "unusable share"},
		{"POST /api/models/promote", `{"version":"damaged","role":"challenger:x"}`, 409, "damaged in the registry"},
		{"POST /api/models/promote", `{"version":"old","reason":"` + strings.Repeat("x", 1001) + `"}`, 400, "reason has 1001 bytes"},
		{"POST /api/models/withdraw", `{}`, 400, `unusable role: ""`},
		{"POST /api/models/withdraw", `{"role":"challenger:none"}`, 400, "no version is challenger:none"},
		{"POST /api/models/withdraw", `{"role":"champion"}`, 400, "unusable role"},
		{"POST /api/models/rollback", `{"version":"old"}`, 400, "the field version has no meaning here"},
	} {
		_, _, problem := serve(t, newRequest(c.line, c.body), b)
		if problem == nil || problem.Status != c.status || !strings.Contains(problem.Detail, c.detail) {
			t.Errorf("%s %.60s: got %v, want %d: %s", c.line, c.body, problem, c.status, c.detail)
		}
		if _, _, problem := serve(t, newRequest(c.line, c.body), &api.Backend{}); problem == nil || problem.Status != http.StatusNotImplemented && !strings.Contains(c.detail, "is unknown;") {
			t.Errorf("%s without a registry: %v", c.line, problem)
		}
	}
	if _, promoted, err := r.Latest(); promoted || err != nil {
		t.Errorf("something was promoted, %v", err)
	}
	if _, _, problem := serve(t, newRequest("POST /api/models/promote", `{"version":"old"}`), b); problem != nil {
		t.Fatal(problem)
	}
	_, _, problem := serve(t, newRequest("POST /api/models/rollback", `{"expected":"good"}`), b)
	if problem == nil || problem.Status != http.StatusConflict || !strings.Contains(problem.Detail, "the champion is another by now") {
		t.Errorf("expecting another champion: %v", problem)
	}
	if _, _, problem := serve(t, newRequest("POST /api/models/rollback", ""), b); problem == nil || problem.Status != 409 || !strings.Contains(problem.Detail, "old is the first champion") {
		t.Errorf("rolling back the first: %v", problem)
	}
}
