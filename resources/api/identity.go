package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Identity is who a server is: a key of its own. Clients know it by its Pin, which they have from a place
// that they trust; no authority vouches for it, and it has no name.
type Identity struct {
	// Pin is what clients are told.
	Pin Pin

	certificate tls.Certificate
}

// NewIdentity makes one, with a key that is kept nowhere.
func NewIdentity() (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("a key for TLS: %w", err)
	}
	return IdentityOf(key)
}

// IdentityOf is that of a key.
func IdentityOf(key *ecdsa.PrivateKey) (*Identity, error) {
	// Nobody looks at the times: the pin says for how long it holds.
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Sublet"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("a certificate for TLS: %w", err)
	}
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, fmt.Errorf("a certificate for TLS: %w", err)
	}
	return &Identity{Pin: pinOf(parsed), certificate: tls.Certificate{Certificate: [][]byte{certificate}, PrivateKey: key, Leaf: parsed}}, nil
}

// Config is for the server's end of TLS.
func (i *Identity) Config() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{i.certificate}, MinVersion: tls.VersionTLS13}
}

// Pin is the SHA-256 of a server's public key, as curl's --pinnedpubkey takes it: sha256//, and base64.
type Pin string

const pinPrefix = "sha256//"

func pinOf(certificate *x509.Certificate) Pin {
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return Pin(pinPrefix + base64.StdEncoding.EncodeToString(sum[:]))
}

// Check says what is wrong with a pin that somebody has written.
func (p Pin) Check() error {
	text, found := strings.CutPrefix(string(p), pinPrefix)
	sum, err := base64.StdEncoding.Strict().DecodeString(text)
	if !found || err != nil || len(sum) != sha256.Size {
		return fmt.Errorf("%.80q is no pin: it is %s and the SHA-256 of a public key in base64", string(p), pinPrefix)
	}
	return nil
}

// WrongKey says that who answers has another key than the one that is pinned: another server has the address
// by now, or somebody stands in between.
type WrongKey struct{ Pinned, Has Pin }

func (e *WrongKey) Error() string {
	return fmt.Sprintf("who answers there has another key (%s) than the one that is pinned (%s): another server has that address by now, or somebody stands in between", e.Has, e.Pinned)
}

// Config is for a client's end of TLS. It goes on with the server that has the pinned key, and with no other.
func (p Pin) Config() *tls.Config {
	config := AnyServer()
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("who answers there has no key")
		}
		if has := pinOf(state.PeerCertificates[0]); has != p {
			return &WrongKey{Pinned: p, Has: has}
		}
		return nil
	}
	return config
}

// AnyServer is for a client's end of TLS where both ends prove who they are afterwards, and with the
// Binding of the connection. Before that, nothing is known of the server.
func AnyServer() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}
}

// Binding is a secret that the two ends of a TLS connection have, and nobody else. Somebody in between
// has two connections, with another one each: so a proof that contains it can not be passed on.
func Binding(connection *tls.Conn) ([]byte, error) {
	state := connection.ConnectionState()
	return state.ExportKeyingMaterial("EXPORTER-Sublet-Binding", nil, sha256.Size)
}
