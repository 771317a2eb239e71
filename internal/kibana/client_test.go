package kibana

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
)

const file = "../../config/kibana/recsys-benthos.ndjson"

// server is Kibana's saved objects API as it is documented: it keeps what is
// imported, and refuses requests that Kibana would refuse.
type server struct {
	mu     sync.Mutex
	there  map[string]bool // type/id
	refuse map[string]string
	base   string // path before /api
	auth   string // wanted Authorization
}

func newServer(t *testing.T) (*server, *Client) {
	t.Helper()
	s := &server{there: map[string]bool{}, refuse: map[string]string{}}
	listener := httptest.NewServer(s)
	t.Cleanup(listener.Close)
	return s, clientOf(t, listener.URL)
}

func clientOf(t *testing.T, address string) *Client {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return &Client{URL: u, HTTP: http.DefaultClient}
}

func say(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func bad(w http.ResponseWriter, status int, message string) {
	say(w, status, map[string]any{"statusCode": status, "error": http.StatusText(status), "message": message})
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.auth != "" && r.Header.Get("Authorization") != s.auth:
		bad(w, http.StatusUnauthorized, "Unauthorized")
	case r.Method != http.MethodPost:
		bad(w, http.StatusNotFound, "Not Found")
	case r.Header.Get("kbn-xsrf") == "":
		bad(w, http.StatusBadRequest, "Request must contain a kbn-xsrf header.")
	case r.URL.Path == s.base+"/api/saved_objects/_import":
		s.imports(w, r)
	case r.URL.Path == s.base+"/api/saved_objects/_bulk_get":
		s.gives(w, r)
	default:
		bad(w, http.StatusNotFound, "Not Found")
	}
}

func (s *server) imports(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery != "overwrite=true" {
		bad(w, http.StatusBadRequest, "the test wants overwrite=true alone")
		return
	}
	uploaded, header, err := r.FormFile("file")
	if err != nil || !strings.HasSuffix(header.Filename, ".ndjson") {
		bad(w, http.StatusBadRequest, "[request body.file]: expected value of type [Stream]")
		return
	}
	text, err := io.ReadAll(uploaded)
	if err != nil {
		bad(w, http.StatusBadRequest, err.Error())
		return
	}
	good, failed := 0, []any{}
	for line := range strings.Lines(string(text)) {
		var o Object
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			bad(w, http.StatusBadRequest, err.Error())
			return
		}
		if reason, refused := s.refuse[o.ID]; refused {
			problem := map[string]any{"type": reason}
			switch reason {
			case "missing_references":
				problem["references"] = []any{map[string]string{"type": "index-pattern", "id": "elsewhere"}}
			case "unknown":
				problem["message"], problem["statusCode"] = "Document belongs to a more recent version of Kibana [10.9.0] when the last known version is [8.9.0].", 422
			}
			failed = append(failed, map[string]any{"id": o.ID, "type": o.Type, "title": o.Attributes.Title, "meta": map[string]any{}, "error": problem})
		} else if o.Type != "" {
			s.there[o.Type+"/"+o.ID] = true
			good++
		}
	}
	result := map[string]any{"success": len(failed) == 0, "successCount": good, "warnings": []any{}}
	if len(failed) > 0 {
		result["errors"] = failed
	}
	say(w, http.StatusOK, result)
}

func (s *server) gives(w http.ResponseWriter, r *http.Request) {
	var asked []struct{ Type, ID string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.Header.Get("Content-Type") != "application/json" {
		bad(w, http.StatusBadRequest, fmt.Sprint("no list of objects: ", err))
		return
	}
	found := []any{}
	for _, o := range asked {
		answer := map[string]any{"type": o.Type, "id": o.ID}
		if !s.there[o.Type+"/"+o.ID] {
			answer["error"] = map[string]any{"statusCode": 404, "error": "Not Found", "message": "Saved object [" + o.Type + "/" + o.ID + "] not found"}
		}
		found = append(found, answer)
	}
	say(w, http.StatusOK, map[string]any{"saved_objects": found})
}

func export(t *testing.T) ([]byte, []Object) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := Objects(text)
	if err != nil || len(objects) < 10 {
		t.Fatalf("%d objects: %v", len(objects), err)
	}
	return text, objects
}

func TestWhatIsImportedIsThere(t *testing.T) {
	text, objects := export(t)
	s, c := newServer(t)
	missing, err := c.Missing(t.Context(), objects)
	if err != nil || len(missing) != len(objects) {
		t.Errorf("before, %d are missing: %v", len(missing), err)
	}
	for range 2 { // overwriting changes nothing
		if n, err := c.Import(t.Context(), "recsys-benthos.ndjson", text); err != nil || n != len(objects) {
			t.Errorf("%d objects are in: %v", n, err)
		}
	}
	if missing, err := c.Missing(t.Context(), objects); err != nil || len(missing) > 0 {
		t.Errorf("after, %v are missing: %v", missing, err)
	}
	delete(s.there, objects[3].Type+"/"+objects[3].ID)
	if missing, err := c.Missing(t.Context(), objects); err != nil || len(missing) != 1 || missing[0] != objects[3] {
		t.Errorf("after one was deleted, %v are missing: %v", missing, err)
	}
}

func TestTheSpaceAndTheBasePathAreKept(t *testing.T) {
	text, objects := export(t)
	s, c := newServer(t)
	s.base = "/kibana/s/a team"
	c.URL = c.URL.JoinPath("kibana/")
	c.Space = "a team"
	if n, err := c.Import(t.Context(), "recsys-benthos.ndjson", text); err != nil || n != len(objects) {
		t.Errorf("%d objects are in: %v", n, err)
	}
}

func TestCredentialsAreSent(t *testing.T) {
	_, objects := export(t)
	s, c := newServer(t)
	for want, credentials := range map[string][3]string{
		"Basic dTpw":  {"u", "p", ""}, // u:p
		"ApiKey a2V5": {"", "", "a2V5"},
	} {
		s.auth = want
		c.Username, c.Password, c.APIKey = credentials[0], credentials[1], credentials[2]
		if _, err := c.Missing(t.Context(), objects); err != nil {
			t.Errorf("%s: %v", want, err)
		}
	}
	c.APIKey = "wrong"
	if _, err := c.Missing(t.Context(), objects); err == nil || !strings.Contains(err.Error(), "KIBANA_API_KEY") {
		t.Errorf("wrong credentials: %v", err)
	}
}

func TestEachRefusedObjectIsNamed(t *testing.T) {
	text, objects := export(t)
	s, c := newServer(t)
	s.refuse["recsys-benthos"] = "missing_references"
	s.refuse["recsys-benthos-genres"] = "unknown"
	s.refuse["recsys-benthos-user-predictions"] = "unsupported_type"
	n, err := c.Import(t.Context(), "recsys-benthos.ndjson", text)
	if n != len(objects)-3 || err == nil {
		t.Fatalf("%d objects are in: %v", n, err)
	}
	for _, want := range []string{
		fmt.Sprintf("%d objects are in, 3 are not", n),
		`dashboard "Movie recommender" (recsys-benthos): it refers to what is not there: index-pattern elsewhere`,
		`lens "Genres" (recsys-benthos-genres): Document belongs to a more recent version of Kibana`,
		`this Kibana has no objects of the type search`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

// TestWhatIsNotKibanaIsNamed: other servers answer on such addresses too.
func TestWhatIsNotKibanaIsNamed(t *testing.T) {
	text, objects := export(t)
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"a page":                     {200, "<!DOCTYPE html>\n<html>login", "what answers there is not Kibana: it answers <!DOCTYPE html> <html>login"},
		"other JSON":                 {200, `{"cluster_name":"es","tagline":"You Know, for Search"}`, "what answers there is not Kibana"},
		"Elasticsearch":              {400, `{"error":{"root_cause":[]},"status":400}`, "what answers there is not Kibana: status 400"},
		"a proxy":                    {502, "Bad Gateway", "what answers there is not Kibana: status 502: Bad Gateway"},
		"another path":               {404, "404 page not found", "check KIBANA_URL, with the base path"},
		"a Kibana that starts":       {503, "Kibana server is not ready yet", "it is not ready (503)"},
		"a user with few privileges": {403, `{"statusCode":403,"error":"Forbidden","message":"Unable to bulk_create dashboard"}`, "Unable to bulk_create dashboard"},
		"a Kibana with a reason":     {413, `{"statusCode":413,"error":"Request Entity Too Large","message":"Payload content length greater than maximum"}`, "status 413: Request Entity Too Large: Payload"},
	} {
		t.Run(name, func(t *testing.T) {
			listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer listener.Close()
			client := clientOf(t, listener.URL)
			if _, err := client.Import(t.Context(), "x.ndjson", text); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("importing: %v, want %q", err, c.want)
			}
			if _, err := client.Missing(t.Context(), objects); err == nil || !strings.Contains(err.Error(), c.want) && !errors.Is(err, ErrNotKibana) {
				t.Errorf("looking: %v, want %q", err, c.want)
			}
		})
	}
}

func TestAServerThatIsAwayIsNamedWithoutThePassword(t *testing.T) {
	listener := httptest.NewServer(nil)
	address := listener.URL
	listener.Close()
	c := clientOf(t, strings.Replace(address, "http://", "http://u:secret@", 1))
	_, err := c.Import(t.Context(), "x.ndjson", nil)
	if err == nil || !strings.Contains(err.Error(), c.URL.Host) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Missing(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
}

func TestBrokenExportsAreRefused(t *testing.T) {
	if _, err := Objects([]byte("{\"type\":\"lens\",\"id\":\"a\"}\n{")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got %v", err)
	}
}
