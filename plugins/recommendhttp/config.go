package recommendhttp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
	"github.com/recsys-benthos/recsys-benthos/internal/secret"
)

const (
	fieldAddress   = "address"
	fieldModel     = "model"
	fieldCatalog   = "catalog"
	fieldStore     = "store"
	fieldAuth      = "auth"
	fieldName      = "name"
	fieldKey       = "key"
	fieldKeyFile   = "key_file"
	fieldVariable  = "key_variable"
	fieldScopes    = "scopes"
	fieldCORS      = "cors"
	fieldOrigins   = "allowed_origins"
	fieldLimits    = "limits"
	fieldBody      = "body_bytes"
	fieldHeader    = "header_bytes"
	fieldRequests  = "concurrent_requests"
	fieldWrites    = "concurrent_writes"
	fieldBatch     = "batch"
	fieldRate      = "rate"
	fieldBurst     = "burst"
	fieldTimeouts  = "timeouts"
	fieldRead      = "read"
	fieldWrite     = "write"
	fieldIdle      = "idle"
	fieldRequest   = "request"
	fieldTLS       = "tls"
	fieldCertFile  = "cert_file"
	fieldGzip      = "gzip"
	fieldDashboard = "dashboard"
)

func inputSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Serves the recommender on HTTP: a request becomes a message, its reply the answer.").
		Description(`
Each route becomes the typed request that travels on Kafka too, so that the processors of a pipeline are the same for both. The answer is what the output `+"`sync_response`"+` is given:

`+"```json"+`
{"request_id": "…", "kind": "predict", "user_id": 514, "movie_id": 318}
`+"```"+`

The routes are described at `+"`/api/`"+` and, for programs, at `+"`/api/openapi.json`"+` (OpenAPI 3.1). Feedback becomes events, one message each: an output that writes them to Kafka acknowledges them, and that is the answer.

A message has the metadata `+"`kind`"+` (predict, recommend, similar, explain or feedback, which are events of all types), `+"`key`"+` (of events, the key for Kafka: the id of the user or, of type item, of the movie), `+"`user_id`"+` (of events of users) and `+"`http_message`"+`, by which the reply finds its request: a mapping must not remove that.

What is asked of movies, users, feedback and models is answered by the input itself, from the resources that it names.

Requests that wait are read as one batch; none waits for others. Reads and feedback are never in the same batch. A message that fails is not tried again: its error is the answer, in application/problem+json. What a processor rejects is 422, while there is no model 503, what takes too long 504.

Without keys everybody who reaches the address may do everything.`).
		Fields(
			service.NewStringField(fieldAddress).
				Description("Host and port to listen on.").
				Default("127.0.0.1:4195"),
			service.NewStringField(fieldModel).
				Description("The label of an als_model resource. While it has no model, requests are answered with 503 at once instead of waiting.").
				Default(""),
			service.NewStringField(fieldCatalog).
				Description("The label of a movie_catalog resource. The same as for the model; and movies are told from it and changed in it.").
				Default(""),
			service.NewStringField(fieldStore).
				Description("The label of a rating store, from which users and their feedback are told.").
				Default(""),
			authField(),
			service.NewObjectField(fieldCORS,
				service.NewStringListField(fieldOrigins).
					Description("Origins whose pages may use the interface, such as https://example.com, or * for all that send no key.").
					Default([]any{})),
			limitFields(),
			service.NewObjectField(fieldTimeouts,
				service.NewDurationField(fieldRead).Description("How long a client may take to send a request.").Default("10s"),
				service.NewDurationField(fieldWrite).Description("How long a request may take in all, reading the answer included.").Default("30s"),
				service.NewDurationField(fieldIdle).Description("How long a connection without requests is kept.").Default("1m"),
				service.NewDurationField(fieldRequest).Description("How long the pipeline may take, before the answer is 504.").Default("5s"),
			).Advanced(),
			service.NewObjectField(fieldTLS,
				service.NewStringField(fieldCertFile).Description("The certificate, and those that it is signed by, in PEM.").Default(""),
				service.NewStringField(fieldKeyFile).Description("Its private key in PEM.").Default(""),
			).Description("Serves HTTPS. Both files or none.").Advanced(),
			service.NewBoolField(fieldGzip).
				Description("Compresses answers for clients that accept it, from 1 KiB on.").
				Default(true).Advanced(),
			service.NewBoolField(fieldDashboard).
				Description("Serves the page of an output dashboard of the same process and address.").
				Default(true).Advanced(),
		).
		Example("Predictions on HTTP",
			"`curl http://127.0.0.1:4195/api/estimate/1/318` is answered by the processors of the pipeline.", `
input:
  recommend_http:
    address: 127.0.0.1:4195
    model: model
    catalog: catalog

pipeline:
  processors:
    - als_predict:
        model: model
        catalog: catalog

output:
  reject_errored:
    sync_response: {}

cache_resources:
  - label: model
    als_model:
      registry: file://./recsys-data/registry
  - label: catalog
    movie_catalog:
      source: ./recsys-data/ml-latest-small.zip
`)
}

func authField() *service.ConfigField {
	return service.NewObjectListField(fieldAuth,
		service.NewStringField(fieldName).
			Description("What the client is called, in errors and for the rate limit."),
		service.NewStringField(fieldKey).
			Description("The key, best from an environment variable. An empty one is no key.").
			Default("").Secret(),
		service.NewStringField(fieldKeyFile).
			Description("A file that holds the key, in place of key.").
			Default(""),
		service.NewStringField(fieldVariable).
			Description("An environment variable that holds the key or, with _FILE at its end, names the file that does, in place of key. So the key is not part of the configuration, which the admin server shows. If it is not set there is no key.").
			Default(""),
		service.NewStringListField(fieldScopes).
			Description("What the key may do: read, write (feedback) and admin, which includes both.").
			Default([]any{"read"}),
	).
		Description("Keys, given by clients as `X-API-Key: …` or `Authorization: Bearer …`. Health, the page and the document need none.").
		Default([]any{}).
		Example([]any{map[string]any{"name": "shop", "key_variable": "SHOP_KEY", "scopes": []any{"read", "write"}}})
}

func limitFields() *service.ConfigField {
	return service.NewObjectField(fieldLimits,
		service.NewStringField(fieldBody).Description("Of a request's body.").Default("1MiB"),
		service.NewStringField(fieldHeader).Description("Of a request's header.").Default("16KiB"),
		service.NewIntField(fieldRequests).Description("Requests that are answered at one time; others get 503.").Default(1024).
			LintRule(`root = if this < 1 { "must be at least 1" }`),
		service.NewIntField(fieldWrites).Description("Feedback requests that are written at one time, at most the max_in_flight of the output; others get 503.").Default(64).
			LintRule(`root = if this < 1 { "must be at least 1" }`),
		service.NewIntField(fieldBatch).Description("Messages of waiting requests that are taken together at most; a request with more is a batch of its own.").Default(256).
			LintRule(`root = if this < 1 { "must be at least 1" }`),
		service.NewFloatField(fieldRate).Description("Requests a second of each key, or of each address where there are no keys; 0 is no limit.").Default(0).
			LintRule(`root = if this < 0 { "must not be negative" }`),
		service.NewIntField(fieldBurst).Description("How many of them may come at once.").Default(100).
			LintRule(`root = if this < 1 { "must be at least 1" }`),
	).Advanced()
}

// config is what the YAML says.
type config struct {
	address              string
	model, catalog       string
	store                string
	keys                 api.Keys
	origins              []string
	bodyBytes            int64
	headerBytes          int
	requests, writes     int
	batch                int
	rate                 float64
	burst                int
	read, write          time.Duration
	idle, request        time.Duration
	certificate          *tls.Certificate
	certFile, keyFile    string
	compress, sharesPage bool
}

// parser keeps the first error, so that fields are read in one go.
type parser struct {
	conf *service.ParsedConfig
	err  error
}

func field[T any](p *parser, get func(...string) (T, error), path ...string) (value T) {
	if p.err == nil {
		value, p.err = get(path...)
	}
	return value
}

func (p *parser) bytes(path ...string) int64 {
	text := field(p, p.conf.FieldString, path...)
	if p.err != nil {
		return 0
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > 1<<30 {
		p.err = fmt.Errorf("field %s: %q is not a size from 1B to 1GiB; write it as 1MiB", strings.Join(path, "."), text)
	}
	return int64(n)
}

func parseConfig(conf *service.ParsedConfig) (*config, error) {
	p := &parser{conf: conf}
	c := &config{
		address: field(p, conf.FieldString, fieldAddress), model: field(p, conf.FieldString, fieldModel), catalog: field(p, conf.FieldString, fieldCatalog),
		store:     field(p, conf.FieldString, fieldStore),
		origins:   field(p, conf.FieldStringList, fieldCORS, fieldOrigins),
		bodyBytes: p.bytes(fieldLimits, fieldBody), headerBytes: int(p.bytes(fieldLimits, fieldHeader)),
		requests: field(p, conf.FieldInt, fieldLimits, fieldRequests), writes: field(p, conf.FieldInt, fieldLimits, fieldWrites),
		batch: field(p, conf.FieldInt, fieldLimits, fieldBatch),
		rate:  field(p, conf.FieldFloat, fieldLimits, fieldRate), burst: field(p, conf.FieldInt, fieldLimits, fieldBurst),
		read: field(p, conf.FieldDuration, fieldTimeouts, fieldRead), write: field(p, conf.FieldDuration, fieldTimeouts, fieldWrite),
		idle: field(p, conf.FieldDuration, fieldTimeouts, fieldIdle), request: field(p, conf.FieldDuration, fieldTimeouts, fieldRequest),
		certFile: field(p, conf.FieldString, fieldTLS, fieldCertFile), keyFile: field(p, conf.FieldString, fieldTLS, fieldKeyFile),
		compress: field(p, conf.FieldBool, fieldGzip), sharesPage: field(p, conf.FieldBool, fieldDashboard),
	}
	if p.err != nil {
		return nil, p.err
	}
	return c, errors.Join(c.check(), c.readKeys(conf), c.readCertificate())
}

func (c *config) check() error {
	if _, _, err := net.SplitHostPort(c.address); err != nil {
		return fmt.Errorf("field %s: %w; give host and port such as 127.0.0.1:4195", fieldAddress, err)
	}
	for _, d := range []time.Duration{c.read, c.idle, c.request} {
		if d <= 0 {
			return fmt.Errorf("field %s: %v is not positive", fieldTimeouts, d)
		}
	}
	if c.write < c.request {
		return fmt.Errorf("field %s.%s: %v is shorter than %s, %v, so that nobody would be told of it", fieldTimeouts, fieldWrite, c.write, fieldRequest, c.request)
	}
	for name, n := range map[string]int{fieldRequests: c.requests, fieldWrites: c.writes, fieldBatch: c.batch, fieldBurst: c.burst} {
		if n < 1 {
			return fmt.Errorf("field %s.%s: %d is less than 1", fieldLimits, name, n)
		}
	}
	if c.rate < 0 {
		return fmt.Errorf("field %s.%s: %v is negative", fieldLimits, fieldRate, c.rate)
	}
	for _, origin := range c.origins {
		if origin == "*" {
			continue
		}
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil {
			return fmt.Errorf("field %s.%s: %q is not an origin such as https://example.com: %w", fieldCORS, fieldOrigins, origin, err)
		}
	}
	return nil
}

func (c *config) readKeys(conf *service.ParsedConfig) error {
	list, err := conf.FieldObjectList(fieldAuth)
	if err != nil {
		return err
	}
	for i, entry := range list {
		p := &parser{conf: entry}
		name, key, file := field(p, entry.FieldString, fieldName), field(p, entry.FieldString, fieldKey), field(p, entry.FieldString, fieldKeyFile)
		written := field(p, entry.FieldStringList, fieldScopes)
		if p.err != nil {
			return p.err
		}
		if key, p.err = readKey(key, file, field(p, entry.FieldString, fieldVariable)); p.err != nil {
			return fmt.Errorf("field %s.%d: %w", fieldAuth, i, p.err)
		}
		var scopes []api.Scope
		for _, s := range written {
			switch scope := api.Scope(s); scope {
			case api.Read, api.Write, api.Admin:
				scopes = append(scopes, scope)
			default:
				return fmt.Errorf("field %s.%d.%s: %q is unknown; give read, write or admin", fieldAuth, i, fieldScopes, s)
			}
		}
		if key != "" {
			c.keys = append(c.keys, api.NewKey(name, key, scopes))
		}
	}
	return nil
}

// readKey returns the key that one of the three names, or an empty one.
func readKey(key, file, variable string) (string, error) {
	given := 0
	for _, text := range []string{key, file, variable} {
		if text != "" {
			given++
		}
	}
	if given > 1 {
		return "", fmt.Errorf("fields %s, %s and %s exclude each other: leave one", fieldKey, fieldKeyFile, fieldVariable)
	}
	if variable != "" {
		key, _, err := secret.Lookup(variable)
		return key, err
	}
	if file == "" {
		return key, nil
	}
	key, err := secret.Read(file)
	if err != nil {
		return "", fmt.Errorf("field %s: %w", fieldKeyFile, err)
	}
	return key, nil
}

func (c *config) readCertificate() error {
	if c.certFile == "" && c.keyFile == "" {
		return nil
	}
	if c.certFile == "" || c.keyFile == "" {
		return fmt.Errorf("field %s: give both %s and %s, or none", fieldTLS, fieldCertFile, fieldKeyFile)
	}
	certificate, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("field %s: %w", fieldTLS, err)
	}
	c.certificate = &certificate
	return nil
}

// isOpen reports whether others than this machine can reach the address without
// a key.
func (c *config) isOpen() bool { return len(c.keys) == 0 && !isLoopback(c.address) }

// isLoopback reports whether a host, with or without a port, is this machine.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
