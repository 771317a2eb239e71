package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificates are PEM files: a CA, a certificate of the servers for 127.0.0.1 to 3 and
// localhost, and one for clients.
type certificates struct {
	ca                    string
	serverCert, serverKey string
	serverStore           string // key and certificate in one file
	clientCert, clientKey string
}

// issueCertificates makes a CA and certificates in dir. The servers' certificate ends at
// notAfter, the zero time means in a day; the others are good for a day.
func issueCertificates(dir string, notAfter time.Time) (certificates, error) {
	c, err := writeCertificates(dir, notAfter)
	if err != nil {
		return certificates{}, fmt.Errorf("making certificates: %w", err)
	}
	return c, nil
}

func writeCertificates(dir string, notAfter time.Time) (certificates, error) {
	path := func(name string) string { return filepath.Join(dir, name) }
	c := certificates{
		ca: path("ca.pem"), serverCert: path("server.pem"), serverKey: path("server.key"),
		serverStore: path("server-store.pem"), clientCert: path("client.pem"), clientKey: path("client.key"),
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return c, err
	}
	ca := template(1, "recsys test CA", time.Time{})
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	caCert, _, err := sign(ca, ca, caKey, caKey)
	if err != nil {
		return c, err
	}
	serverCert, serverKey, err := issue(template(2, "localhost", notAfter), ca, caKey)
	if err != nil {
		return c, err
	}
	clientCert, clientKey, err := issue(template(3, "recsys test client", time.Time{}), ca, caKey)
	if err != nil {
		return c, err
	}
	store := append(append([]byte{}, serverKey...), append(serverCert, caCert...)...)
	return c, errors.Join(
		os.WriteFile(c.ca, caCert, 0o644),
		os.WriteFile(c.serverCert, serverCert, 0o644),
		os.WriteFile(c.serverKey, serverKey, 0o644), // Elasticsearch may run as another user
		os.WriteFile(c.serverStore, store, 0o644),
		os.WriteFile(c.clientCert, clientCert, 0o644),
		os.WriteFile(c.clientKey, clientKey, 0o600),
	)
}

// template describes a certificate. One that is over by now began a day before its end.
func template(serial int64, name string, notAfter time.Time) *x509.Certificate {
	notBefore := time.Now().Add(-time.Hour)
	if notAfter.IsZero() {
		notAfter = time.Now().Add(24 * time.Hour)
	}
	if notAfter.Before(notBefore.Add(time.Hour)) {
		notBefore = notAfter.Add(-24 * time.Hour)
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: notBefore, NotAfter: notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"},
	}
	for _, host := range hosts(maxNodes) {
		t.IPAddresses = append(t.IPAddresses, net.ParseIP(host))
	}
	return t
}

func issue(cert, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	return sign(cert, ca, key, caKey)
}

func sign(cert, ca *x509.Certificate, key, caKey *ecdsa.PrivateKey) (certPEM, keyPEM []byte, err error) {
	der, err := x509.CreateCertificate(rand.Reader, cert, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

// use puts the files that clients need into the cluster's description.
func (c certificates) use(cluster *Cluster) {
	cluster.CAFile, cluster.CertFile, cluster.KeyFile = c.ca, c.clientCert, c.clientKey
}

func clientTLS(caFile, certFile, keyFile string) (*tls.Config, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s has no certificate", caFile)
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}
