package kibana

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

const maxAnswerBytes = 10 << 20

// ErrNotKibana: something answers there, but not as Kibana does, such as a proxy or
// Elasticsearch itself.
var ErrNotKibana = errors.New("what answers there is not Kibana")

// Client asks one Kibana. It is safe for concurrent use.
type Client struct {
	URL                *url.URL // with the base path, if Kibana has one
	Space              string   // "" is the default space
	Username, Password string
	APIKey             string // encoded; used instead of the password
	HTTP               *http.Client
}

// Object is a saved object as far as this package is concerned.
type Object struct {
	Type       string `json:"type"`
	ID         string `json:"id"`
	Attributes struct {
		Title string `json:"title"`
	} `json:"attributes"`
}

func (o Object) String() string {
	if o.Attributes.Title == "" {
		return o.Type + " " + o.ID
	}
	return fmt.Sprintf("%s %q", o.Type, o.Attributes.Title)
}

// Objects reads an export (one object a line); the summary at its end is no object.
func Objects(export []byte) ([]Object, error) {
	var objects []Object
	for i, line := range bytes.Split(export, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var o Object
		if err := json.Unmarshal(line, &o); err != nil {
			return nil, fmt.Errorf("reading line %d of the saved objects: %w", i+1, err)
		}
		if o.Type != "" {
			objects = append(objects, o)
		}
	}
	return objects, nil
}

// answer is what Kibana says to an import.
type answer struct {
	Success      *bool `json:"success"`
	SuccessCount int   `json:"successCount"`
	Errors       []struct {
		Type, ID, Title string
		Error           struct {
			Type, Message string
			StatusCode    int
			References    []struct{ Type, ID string }
		}
	}
}

// Import puts the objects of an export into Kibana; those with the same ids are
// replaced. It returns how many are in, and an error that names each object that
// Kibana refused.
func (c *Client) Import(ctx context.Context, name string, export []byte) (int, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name) // Kibana wants a name that ends in .ndjson
	if err != nil {
		return 0, err
	}
	if _, err := part.Write(export); err != nil {
		return 0, err
	}
	if err := form.Close(); err != nil {
		return 0, err
	}
	text, err := c.ask(ctx, "_import?overwrite=true", form.FormDataContentType(), &body)
	if err != nil {
		return 0, fmt.Errorf("importing %s: %w", name, err)
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil || a.Success == nil {
		return 0, fmt.Errorf("importing %s: %w: it answers %s", name, ErrNotKibana, excerpt(text))
	}
	refused := a.refused()
	if !*a.Success && len(refused) == 0 {
		refused = []error{errors.New("it says that it did not succeed, and not why; Kibana's log does")}
	}
	if len(refused) > 0 {
		return a.SuccessCount, fmt.Errorf("importing %s: %d objects are in, %d are not:\n%w", name, a.SuccessCount, len(refused), errors.Join(refused...))
	}
	return a.SuccessCount, nil
}

func (a answer) refused() (refused []error) {
	for _, e := range a.Errors {
		who := e.Type + " " + e.ID
		if e.Title != "" {
			who = fmt.Sprintf("%s %q (%s)", e.Type, e.Title, e.ID)
		}
		why := e.Error.Message
		switch e.Error.Type {
		case "missing_references":
			var missing []string
			for _, r := range e.Error.References {
				missing = append(missing, r.Type+" "+r.ID)
			}
			why = "it refers to what is not there: " + strings.Join(missing, ", ")
		case "unsupported_type":
			why = "this Kibana has no objects of the type " + e.Type
		case "conflict", "ambiguous_conflict":
			why = "objects of other ids or spaces stand in its place; delete them in Stack Management → Saved Objects"
		}
		if why == "" {
			why = fmt.Sprintf("%s, status %d", e.Error.Type, e.Error.StatusCode)
		}
		refused = append(refused, fmt.Errorf("  %s: %s", who, why))
	}
	return refused
}

// Missing returns those of the given objects that are not in Kibana.
func (c *Client) Missing(ctx context.Context, objects []Object) ([]Object, error) {
	type name struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	}
	names := make([]name, len(objects))
	for i, o := range objects {
		names[i] = name{o.Type, o.ID}
	}
	body, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	text, err := c.ask(ctx, "_bulk_get", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("looking for the saved objects: %w", err)
	}
	var found struct {
		Objects []struct {
			name
			Error *struct {
				StatusCode int
				Message    string
			}
		} `json:"saved_objects"`
	}
	if err := json.Unmarshal(text, &found); err != nil || len(found.Objects) != len(objects) {
		return nil, fmt.Errorf("looking for the saved objects: %w: it answers %s", ErrNotKibana, excerpt(text))
	}
	there := map[name]bool{}
	for _, o := range found.Objects {
		if o.Error != nil && o.Error.StatusCode != http.StatusNotFound {
			return nil, fmt.Errorf("looking for %s %s: %s", o.Type, o.ID, o.Error.Message)
		}
		there[o.name] = o.Error == nil
	}
	var missing []Object
	for i, o := range objects {
		if !there[names[i]] {
			missing = append(missing, o)
		}
	}
	return missing, nil
}

// ask posts to the saved objects API and returns the body of an answer 200.
func (c *Client) ask(ctx context.Context, path, contentType string, body io.Reader) ([]byte, error) {
	base := strings.TrimRight(c.URL.String(), "/")
	if c.Space != "" {
		base += "/s/" + url.PathEscape(c.Space)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/saved_objects/"+path, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("kbn-xsrf", "recsys-benthos") // without it Kibana refuses what changes anything
	if c.APIKey != "" {
		request.Header.Set("Authorization", "ApiKey "+c.APIKey)
	} else if c.Username != "" {
		request.SetBasicAuth(c.Username, c.Password)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return nil, err // it names the method and the URL, without a password
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, c.explain(response.StatusCode, text)
	}
	return text, nil
}

// explain says what an answer other than 200 means, and what would mend it.
func (c *Client) explain(status int, text []byte) error {
	var said struct{ Error, Message string }
	err := json.Unmarshal(text, &said)
	ours := err == nil && said.Message != ""
	switch {
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%s does not know these credentials (401): set KIBANA_USER and KIBANA_PASSWORD, or KIBANA_API_KEY", c.URL.Redacted())
	case status == http.StatusForbidden:
		return fmt.Errorf("these credentials may not do that in Kibana (403): the user needs the privilege Saved Objects Management: all, in the space. It says: %s", excerpt(text))
	case status == http.StatusServiceUnavailable:
		return fmt.Errorf("it is not ready (503): try again when Kibana's %s/api/status is available", c.URL.Redacted())
	case status == http.StatusNotFound:
		return fmt.Errorf("%w (404): check KIBANA_URL, with the base path if Kibana has one, and KIBANA_SPACE", ErrNotKibana)
	case ours:
		return fmt.Errorf("status %d: %s: %s", status, said.Error, said.Message)
	}
	return fmt.Errorf("%w: status %d: %s", ErrNotKibana, status, excerpt(text))
}

// excerpt is the beginning of a text, on one line.
func excerpt(text []byte) string {
	const most = 200
	line := strings.Join(strings.Fields(string(text)), " ")
	if len(line) > most {
		return strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}
