package elasticsearch

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
	"github.com/redpanda-data/benthos/v4/public/service"
)

// Fields of the connection.
const (
	fieldURLs        = "urls"
	fieldTLS         = "tls"
	fieldBasicAuth   = "basic_auth"
	fieldEnabled     = "enabled"
	fieldUsername    = "username"
	fieldPassword    = "password"
	fieldAPIKey      = "api_key"
	fieldFingerprint = "certificate_fingerprint"
	fieldGzip        = "gzip_compression"
	fieldTimeout     = "timeout"
)

const dialTimeout = 5 * time.Second

// errFingerprint: no certificate that the server showed is the configured one.
var errFingerprint = errors.New("no certificate of the server has the configured fingerprint")

// Settings are how to reach a cluster, and which index to write there.
type Settings struct {
	URLs               []*url.URL
	Username, Password string
	APIKey             string
	TLS                *tls.Config // nil: the system's defaults
	Gzip               bool
	Timeout            time.Duration // of one request
	Connections        int           // to each node, kept open
	Index              string        // without the date; "" where messages name it
	Daily              bool          // whether a date is appended to Index
}

// SettingsKey is the key of the Settings of an output resource among the
// generic values of a Benthos environment. They are there once the resource is
// built, which happens when it is first used (AccessOutput).
type SettingsKey struct{ Label string }

// ConnectionFields are the fields that ParseSettings reads.
func ConnectionFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewURLListField(fieldURLs).
			Description("The nodes to write to, in turn. A node that fails is left out and tried again. An item may hold several, separated by commas.").
			Example([]string{"http://localhost:9200"}).
			Example([]string{"https://es-1:9200", "https://es-2:9200", "https://es-3:9200"}),
		service.NewTLSToggledField(fieldTLS),
		service.NewObjectField(fieldBasicAuth,
			service.NewBoolField(fieldEnabled).Description("Whether to log in with user name and password.").Default(false),
			service.NewStringField(fieldUsername).Description("The user.").Default(""),
			service.NewStringField(fieldPassword).Description("The password.").Default("").Secret(),
		).Description("Logging in with user name and password.").Advanced(),
		service.NewStringField(fieldAPIKey).
			Description("An API key in its encoded form (base64 of `id:api_key`), instead of user name and password.").
			Default("").Secret().Advanced(),
		service.NewStringField(fieldFingerprint).
			Description("The SHA-256 fingerprint, in hexadecimal, of the server's certificate or of the CA that it shows with it, as Elasticsearch prints it at its first start. It takes the place of a CA file: a server that shows no such certificate is refused.").
			Example("A52DD93511E8C6045E21F16654B77C9EE0F34AEA26D9F40320B531C474676228").
			Default("").Advanced(),
		service.NewBoolField(fieldGzip).
			Description("Whether to compress requests and answers. It pays on a slow network only.").
			Default(false).Advanced(),
		service.NewDurationField(fieldTimeout).
			Description("How long a node may take to answer a request before it is sent again, to another node where there is one.").
			Default("30s").Advanced(),
	}
}

// ParseSettings reads the fields of ConnectionFields.
func ParseSettings(conf *service.ParsedConfig) (s Settings, err error) {
	if s.URLs, err = conf.FieldURLList(fieldURLs); err != nil {
		return s, err
	}
	if err := checkURLs(s.URLs); err != nil {
		return s, err
	}
	var enabled bool
	if enabled, err = conf.FieldBool(fieldBasicAuth, fieldEnabled); err != nil {
		return s, err
	}
	if enabled {
		if s.Username, err = conf.FieldString(fieldBasicAuth, fieldUsername); err != nil {
			return s, err
		}
		if s.Password, err = conf.FieldString(fieldBasicAuth, fieldPassword); err != nil {
			return s, err
		}
		if s.Username == "" || s.Password == "" {
			return s, fmt.Errorf("field %s needs %s and %s", fieldBasicAuth, fieldUsername, fieldPassword)
		}
	}
	if s.APIKey, err = conf.FieldString(fieldAPIKey); err != nil {
		return s, err
	}
	if s.APIKey != "" && enabled {
		return s, fmt.Errorf("fields %s and %s exclude each other: remove one", fieldAPIKey, fieldBasicAuth)
	}
	if s.Gzip, err = conf.FieldBool(fieldGzip); err != nil {
		return s, err
	}
	if s.Timeout, err = conf.FieldDuration(fieldTimeout); err != nil {
		return s, err
	}
	if s.Timeout < time.Second {
		return s, fmt.Errorf("field %s: %s is less than 1s", fieldTimeout, s.Timeout)
	}
	s.Connections = 8
	s.TLS, err = parseTLS(conf)
	return s, err
}

func checkURLs(urls []*url.URL) error {
	if len(urls) == 0 {
		return fmt.Errorf("field %s: name at least one node, as http://host:9200", fieldURLs)
	}
	for _, u := range urls {
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("field %s: %q is not the URL of a node; give it as http://host:9200 or https://host:9200", fieldURLs, u.Redacted())
		}
		u.Path = strings.TrimRight(u.Path, "/")
	}
	return nil
}

func parseTLS(conf *service.ParsedConfig) (*tls.Config, error) {
	config, enabled, err := conf.FieldTLSToggled(fieldTLS)
	if err != nil {
		return nil, err
	}
	if !enabled {
		config = nil
	}
	text, err := conf.FieldString(fieldFingerprint)
	if err != nil || text == "" {
		return config, err
	}
	want, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(want) != sha256.Size {
		return nil, fmt.Errorf("field %s: %q is not a SHA-256 in hexadecimal (64 digits)", fieldFingerprint, text)
	}
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	config.InsecureSkipVerify = true // the fingerprint is what is verified
	config.VerifyConnection = func(state tls.ConnectionState) error {
		return verifyFingerprint(state, [sha256.Size]byte(want))
	}
	return config, nil
}

// verifyFingerprint accepts a server whose own certificate is the wanted one, or
// that shows the wanted certificate and is signed, at any remove, with its key.
// Showing a public CA certificate alone proves nothing.
func verifyFingerprint(state tls.ConnectionState, want [sha256.Size]byte) error {
	certificates := state.PeerCertificates
	for i, c := range certificates {
		if sha256.Sum256(c.Raw) != want {
			continue
		}
		for ; i > 0; i-- {
			if err := certificates[i-1].CheckSignatureFrom(certificates[i]); err != nil {
				return fmt.Errorf("%w: the certificate that has it did not sign the server's (%v)", errFingerprint, err)
			}
		}
		return nil
	}
	return errFingerprint
}

// newTransport makes the client, which does not retry: the callers know when
// that is right.
func newTransport(s Settings) (*elastictransport.Client, *http.Transport, error) {
	wire := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: min(dialTimeout, s.Timeout), KeepAlive: 15 * time.Second}).DialContext,
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     s.TLS,
		TLSHandshakeTimeout: min(2*dialTimeout, s.Timeout),
		MaxIdleConnsPerHost: max(1, s.Connections),
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  !s.Gzip,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
	}
	options := []elastictransport.Option{
		elastictransport.WithUserAgent("recsys-benthos"),
		elastictransport.WithURLs(s.URLs...),
		elastictransport.WithDisableRetry(),
		elastictransport.WithTransport(wire),
		elastictransport.WithConnectionPoolFunc(func(connections []*elastictransport.Connection, _ elastictransport.Selector) elastictransport.ConnectionPool {
			return &nodePool{nodes: connections, now: time.Now}
		}),
		elastictransport.WithInterceptors(nameNode),
	}
	if s.APIKey != "" {
		options = append(options, elastictransport.WithAPIKey(s.APIKey))
	}
	if s.Username != "" {
		options = append(options, elastictransport.WithBasicAuth(s.Username, s.Password))
	}
	client, err := elastictransport.NewClient(options...)
	if err != nil {
		return nil, nil, fmt.Errorf("making the Elasticsearch client: %w", err)
	}
	return client, wire, nil
}

// nodeError is a request that a node did not answer.
type nodeError struct {
	node string // host:port
	err  error
}

func (e *nodeError) Error() string { return e.node + ": " + e.err.Error() }
func (e *nodeError) Unwrap() error { return e.err }

// nameNode adds to an error which node it was: the transport chooses it.
func nameNode(next elastictransport.RoundTripFunc) elastictransport.RoundTripFunc {
	return func(request *http.Request) (*http.Response, error) {
		response, err := next(request)
		if err != nil {
			return nil, &nodeError{node: request.URL.Host, err: err}
		}
		return response, nil
	}
}
