package cassandra

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// ErrNoKeyspace says that the cluster lacks the keyspace.
var ErrNoKeyspace = errors.New("no such keyspace")

const (
	defaultPort = "9042"
	dialTimeout = 3 * time.Second
)

// connect opens a session in the keyspace. Where that fails it finds out why:
// the driver gives one text for many reasons.
func (s Settings) connect(ctx context.Context) (*gocql.Session, error) {
	session, err := s.cluster(s.Keyspace).CreateSession()
	if err != nil {
		return nil, s.diagnose(ctx, err)
	}
	if err := s.checkDataCentre(session); err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

// connectAnywhere opens a session without a keyspace.
func (s Settings) connectAnywhere(ctx context.Context) (*gocql.Session, error) {
	s.Keyspace = ""
	return s.connect(ctx)
}

func (s Settings) where() string { return strings.Join(s.Addresses, ", ") }

// backOff grows with the attempts, and is random so that writers do not come
// back in step.
func (s Settings) backOff(attempts int) time.Duration {
	d := min(s.BackOffMin<<min(attempts, 20), s.BackOffMax)
	if d <= 0 {
		d = s.BackOffMax
	}
	return d/2 + rand.N(d/2+1)
}

// checkDataCentre finds a local_dc that no node is in: the driver would use no
// node at all, and not say why.
func (s Settings) checkDataCentre(session *gocql.Session) error {
	if s.LocalDC == "" || s.NoHostLookup {
		return nil
	}
	var found []string
	for _, host := range session.GetHosts() {
		found = append(found, host.DataCenter())
	}
	if len(found) == 0 || slices.Contains(found, s.LocalDC) {
		return nil
	}
	slices.Sort(found)
	return fmt.Errorf("no node is in data centre %q: the nodes at %s are in %s; set %s.%s to one of those",
		s.LocalDC, s.where(), strings.Join(slices.Compact(found), ", "), fieldHostPolicy, fieldLocalDC)
}

// diagnose turns an error of the driver into one that says what is wrong, where
// and what would mend it.
func (s Settings) diagnose(ctx context.Context, err error) error {
	if reason := s.explain(err); reason != nil {
		return reason
	}
	if reason := s.dialAll(ctx); reason != nil {
		return reason
	}
	if s.TLS == nil && s.wantsTLS(ctx) {
		return fmt.Errorf("%s speaks TLS only; set %s.enabled: true", s.where(), fieldTLS)
	}
	if s.Keyspace == "" {
		if s.LocalDC != "" {
			return fmt.Errorf("no node of data centre %q at %s takes connections (%s); check %s.%s and the nodes' log",
				s.LocalDC, s.where(), plain(err), fieldHostPolicy, fieldLocalDC)
		}
		return fmt.Errorf("%s: %s; check the nodes' log, and that %s are those of Cassandra 3.11 or newer", s.where(), plain(err), fieldAddresses)
	}
	anywhere, elsewhere := s.cluster("").CreateSession()
	if elsewhere != nil {
		if reason := s.explain(elsewhere); reason != nil {
			return reason
		}
		return s.withoutKeyspace().diagnose(ctx, elsewhere)
	}
	defer anywhere.Close()
	found, query := findKeyspace(ctx, anywhere, s.Keyspace)
	switch {
	case query != nil:
		return fmt.Errorf("looking for keyspace %s at %s: %w", s.Keyspace, s.where(), query)
	case !found:
		return s.missingKeyspace()
	}
	return fmt.Errorf("using keyspace %s at %s: %s; check that role %q may use it", s.Keyspace, s.where(), plain(err), s.Username)
}

// plain leaves out what the driver puts before every reason.
func plain(err error) string {
	text := strings.TrimPrefix(err.Error(), "gocql: unable to create session: ")
	return strings.TrimPrefix(text, "unable to discover protocol version: ")
}

// wantsTLS says that a node answers by TLS, whatever its certificate: nothing
// but a greeting is sent.
func (s Settings) wantsTLS(ctx context.Context) bool {
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // a probe
	return slices.ContainsFunc(s.Addresses, func(address string) bool {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err := dialer.DialContext(ctx, "tcp", withPort(address))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

func (s Settings) withoutKeyspace() Settings {
	s.Keyspace = ""
	return s
}

func (s Settings) missingKeyspace() error {
	return fmt.Errorf("%w: %s at %s; create it and its tables with `recsys-benthos setup`, or set %s to one that is there",
		ErrNoKeyspace, s.Keyspace, s.where(), fieldKeyspace)
}

func findKeyspace(ctx context.Context, session *gocql.Session, keyspace string) (bool, error) {
	var name string
	err := session.Query("SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?", keyspace).
		Consistency(gocql.One).ScanContext(ctx, &name)
	if errors.Is(err, gocql.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// explain knows the texts of what a node itself refuses.
func (s Settings) explain(err error) error {
	text := strings.ToLower(err.Error())
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) })
	}
	switch {
	case has("certificate has expired"):
		return fmt.Errorf("TLS with %s: %s; renew the server's certificate", s.where(), plain(err))
	case has("x509:", "certificate"):
		return fmt.Errorf("TLS with %s: %s; check %s.root_cas_file and client_certs", s.where(), plain(err), fieldTLS)
	case has("first record does not look like a tls handshake"):
		return fmt.Errorf("%s does not speak TLS; set %s.enabled: false, or turn client_encryption_options on there", s.where(), fieldTLS)
	case has("username and/or password are incorrect", "bad credentials", "failed to authenticate", "provided username"):
		return fmt.Errorf("%s refuses role %q: wrong password, or no such role; check %s.%s and %s",
			s.where(), s.Username, fieldAuth, fieldAuthUsername, fieldAuthPassword)
	case has("authentication required", "requires authentication", "need authentication"):
		return fmt.Errorf("%s asks for a password; set %s with enabled: true, username and password", s.where(), fieldAuth)
	}
	return nil
}

// dialAll gives nil if any address takes a connection, and else why none does.
func (s Settings) dialAll(ctx context.Context) error {
	var reasons []string
	for _, address := range s.Addresses {
		err := dial(ctx, address)
		if err == nil {
			return nil
		}
		reasons = append(reasons, err.Error())
	}
	return fmt.Errorf("%s; check %s, and that Cassandra runs there", strings.Join(reasons, "; "), fieldAddresses)
}

func withPort(address string) string {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return net.JoinHostPort(strings.Trim(address, "[]"), defaultPort)
	}
	return address
}

func dial(ctx context.Context, address string) error {
	address = withPort(address)
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	var unknown *net.DNSError
	switch {
	case err == nil:
		return conn.Close()
	case errors.As(err, &unknown):
		return fmt.Errorf("no host is named %s", unknown.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens at %s", address)
	}
	return fmt.Errorf("no answer from %s: %w", address, err)
}
