package elasticsearch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

// explain says in one line why a node did not answer, and what would mend it.
// The line has no port of ours in it, so that repetitions can be told.
func explain(err error) string {
	node, cause := "the node", err
	var named *nodeError
	if errors.As(err, &named) {
		node, cause = named.node, named.err
	}
	var (
		dns        *net.DNSError
		unknownCA  x509.UnknownAuthorityError
		expired    x509.CertificateInvalidError
		wrongHost  x509.HostnameError
		notTLS     tls.RecordHeaderError
		asNetError net.Error
	)
	switch {
	case errors.As(cause, &dns):
		return fmt.Sprintf("host %s is unknown (%s); check the field %s and the DNS", dns.Name, dns.Err, fieldURLs)
	case errors.Is(cause, errFingerprint):
		return fmt.Sprintf("%s shows another certificate than the field %s names: %v", node, fieldFingerprint, errFingerprint)
	case errors.As(cause, &expired) && expired.Reason == x509.Expired:
		return fmt.Sprintf("the certificate of %s has expired or is not valid yet (valid from %s to %s, now is %s); renew it, or set the clock", node,
			expired.Cert.NotBefore.UTC().Format(time.DateOnly), expired.Cert.NotAfter.UTC().Format(time.DateOnly), time.Now().UTC().Format(time.DateOnly))
	case errors.As(cause, &unknownCA):
		return fmt.Sprintf("the certificate of %s is signed by an authority that is not known here; give the CA's file in tls.root_cas_file (with tls.enabled: true), or its fingerprint in %s", node, fieldFingerprint)
	case errors.As(cause, &wrongHost):
		return fmt.Sprintf("the certificate of %s is for another name: %v; use that name in %s", node, wrongHost, fieldURLs)
	case errors.As(cause, &notTLS), strings.Contains(cause.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Sprintf("%s does not speak TLS; write http:// in %s", node, fieldURLs)
	case strings.Contains(cause.Error(), "tls: certificate required"), strings.Contains(cause.Error(), "tls: bad certificate"):
		return fmt.Sprintf("%s wants a certificate from this client; give it in tls.client_certs (with tls.enabled: true)", node)
	case strings.Contains(cause.Error(), "tls: unknown certificate"):
		return fmt.Sprintf("%s does not know who signed the certificate of this client; give another one in tls.client_certs", node)
	case errors.Is(cause, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing listens at %s (connection refused)", node)
	case errors.Is(cause, io.EOF), errors.Is(cause, io.ErrUnexpectedEOF), errors.Is(cause, syscall.ECONNRESET), errors.Is(cause, syscall.EPIPE):
		return fmt.Sprintf("%s closed the connection without a whole answer; if it always does, it may want https:// in %s", node, fieldURLs)
	case errors.Is(cause, context.DeadlineExceeded), errors.As(cause, &asNetError) && asNetError.Timeout():
		return fmt.Sprintf("%s did not answer in time (field %s)", node, fieldTimeout)
	}
	return fmt.Sprintf("%s: %v", node, cause)
}

// excerpt is the beginning of an answer, in one line.
func excerpt(answer []byte) string {
	const most = 200
	text := strings.Join(strings.Fields(string(answer)), " ")
	if text == "" {
		return "an empty answer"
	}
	if len(text) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text
}

const repeatPeriod = time.Minute

// repeatFilter passes a line when its text is new, and else once a minute, so
// that an outage is told and the log stays readable.
type repeatFilter struct {
	mu   sync.Mutex
	last map[string]time.Time
	told bool // since it was over
}

func (f *repeatFilter) pass(line string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if last, ok := f.last[line]; ok && now.Sub(last) < repeatPeriod {
		return false
	}
	if f.last == nil || len(f.last) > 100 {
		f.last = map[string]time.Time{}
	}
	f.last[line] = now
	f.told = true
	return true
}

// over says whether a line has passed since over was last called.
func (f *repeatFilter) over() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	told := f.told
	f.told = false
	return told
}
