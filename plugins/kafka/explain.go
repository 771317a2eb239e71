package kafka

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Explain says in one line why a broker cannot be talked to and what mends it.
// The same cause gives the same line.
func Explain(err error) string {
	var (
		unknownHost *net.DNSError
		unknownCA   x509.UnknownAuthorityError
		wrongName   x509.HostnameError
		invalid     x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &unknownHost) && unknownHost.IsNotFound:
		return fmt.Sprintf("no such host %q; check its name in field %s", unknownHost.Name, fieldSeedBrokers)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: nothing listens there; start the broker, or check the port in field " + fieldSeedBrokers
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return "wrong user name or password; check username, password and mechanism in field " + fieldSASL
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "the broker does not have this login; choose another mechanism in field " + fieldSASL
	case errors.As(err, &unknownCA):
		return "certificate signed by unknown authority; name the file of its authority in field tls.root_cas_file"
	case errors.As(err, &wrongName):
		return fmt.Sprintf("the certificate is for another host: %v; use a name of the certificate in field %s", wrongName, fieldSeedBrokers)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the broker's certificate has expired or is not yet valid: it holds from %s to %s; renew it, or set the clock",
			invalid.Cert.NotBefore.UTC().Format(timeLayout), invalid.Cert.NotAfter.UTC().Format(timeLayout))
	case strings.Contains(err.Error(), "plaintext connection speaking to a tls endpoint"):
		return "the broker speaks TLS and this client does not; set tls.enabled to true"
	case strings.Contains(err.Error(), "first record does not look like a TLS handshake"):
		return "the broker does not speak TLS; set tls.enabled to false"
	case strings.Contains(err.Error(), "tls: certificate required"), strings.Contains(err.Error(), "tls: bad certificate"):
		return "the broker wants a certificate from this client; give it in field tls.client_certs"
	case strings.Contains(err.Error(), "tls: unknown certificate"):
		return "the broker does not know who signed the certificate of this client; give another one in field tls.client_certs"
	case errors.Is(err, io.EOF):
		return "the broker closed the connection; it may want a login (field " + fieldSASL + ") or TLS (field tls)"
	default:
		return err.Error()
	}
}

const timeLayout = "2006-01-02 15:04:05 MST"
